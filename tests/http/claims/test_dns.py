"""Only the exact DNS record on real name servers verifies a claim on an email domain."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.application import App
from tests.support.background_jobs import check_domains
from tests.support.domain_claims import LABEL, Claimed, asking, claimed
from tests.support.forged_tokens import altered
from tests.support.matrix import matrix
from tests.support.name_servers import SIGNED, NameServer, Resolver, txt
from tests.support.processes import free_port
from tests.support.rules import rule

pytestmark = pytest.mark.one_store


@pytest.fixture(scope="module")
def resolver(zone: NameServer) -> Iterator[Resolver]:
    with Resolver(zone) as server:
        yield server


@pytest.fixture
def asked(app: App, resolver: Resolver) -> Iterator[None]:
    """The application queries the validating resolver."""
    with asking(app, resolver.address):
        yield


async def looks(claim: Claimed) -> tuple[str, str]:
    """The state after a check, and the reason why it didn't verify the claim."""
    found = await claim.check()
    assert (found["state"] == "proved") == (found["proof"] == "dns") == ("message" not in found)
    return found["state"], found.get("message", "")


@pytest.mark.usefixtures("asked")
async def test_the_correct_record_verifies_the_claim(app: App, zone: NameServer) -> None:
    claim = await claimed(app)
    zone.publish(txt(claim.name, await claim.value()))
    assert (await looks(claim))[0] == "proved"
    found = await claim.shown()
    assert found["provedAt"] == found["checkedAt"] is not None
    assert await claim.events() == ["domain_claimed", "domain_proved"]


@pytest.mark.usefixtures("asked")
async def test_a_client_can_repeat_checks_one_at_a_time(app: App, zone: NameServer) -> None:
    claim = await claimed(app)
    zone.publish()
    for _ in range(6):
        assert (await looks(claim))[0] == "pending"
        app.clock.advance(10)


@pytest.mark.usefixtures("asked")
async def test_a_record_of_several_strings_counts_as_one_text(app: App, zone: NameServer) -> None:
    claim = await claimed(app)
    value = await claim.value()
    zone.publish(txt(claim.name, value[:7], value[7:30], value[30:]))
    assert (await looks(claim))[0] == "proved"


@pytest.mark.usefixtures("asked")
async def test_a_wildcard_of_the_domain_itself_verifies(app: App, zone: NameServer) -> None:
    claim = await claimed(app)
    zone.publish(txt(f"*.{claim.domain}", await claim.value()))
    assert (await looks(claim))[0] == "proved"


@pytest.mark.usefixtures("asked")
async def test_the_correct_record_among_twenty_verifies(app: App, zone: NameServer) -> None:
    claim = await claimed(app)
    others = [txt(claim.name, f"something-else={number}") for number in range(19)]
    zone.publish(*others[:10], txt(claim.name, await claim.value()), *others[10:])
    assert (await looks(claim))[0] == "proved"


@pytest.mark.usefixtures("asked")
@matrix("change", ["shorter", "longer", "upper", "prefix", "elsewhere", "nothing"])
async def test_a_wrong_value_or_name_verifies_nothing(app: App, zone: NameServer, change: str) -> None:
    claim = await claimed(app)
    value = await claim.value()
    lines = {
        "shorter": [txt(claim.name, value[:-1])],
        "longer": [txt(claim.name, value + "a")],
        "upper": [txt(claim.name, value.upper())],
        "prefix": [txt(claim.name, value.partition("=")[2])],
        "elsewhere": [txt(claim.domain, value), txt(f"{LABEL}.www.{claim.domain}", value)],
        "nothing": [],
    }[change]
    zone.publish(*lines)
    state, why = await looks(claim)
    assert state == "pending"
    assert why in ("The record has a different value", "The record doesn't exist")
    assert await claim.events() == ["domain_claimed"]


@pytest.mark.usefixtures("asked")
async def test_the_value_of_another_client_verifies_nothing(app: App, zone: NameServer) -> None:
    other = await claimed(app)
    mine = await claimed(app, domain=other.domain)
    assert await mine.value() != await other.value()
    zone.publish(txt(mine.name, await other.value()))
    assert (await looks(mine))[0] == "pending"
    assert (await looks(other))[0] == "proved"


@rule("EMAIL-LINKS")
@pytest.mark.usefixtures("asked")
@matrix("alias", ["{name}. IN CNAME holder.{domain}.", "*.{domain}. IN CNAME holder.other.example.", "DNAME"])
async def test_an_alias_verifies_nothing_though_its_target_is_right(app: App, zone: NameServer, alias: str) -> None:
    """Someone else can control the target of a forgotten alias."""
    claim = await claimed(app)
    value = await claim.value()
    lines = [txt(f"holder.{claim.domain}", value), txt("holder.other.example", value)]
    if alias == "DNAME":
        lines = [f"{claim.domain}. IN DNAME other.example.", txt(f"{LABEL}.other.example", value)]
    else:
        lines.append(alias.format(name=claim.name, domain=claim.domain))
    zone.publish(*lines)
    state, why = await looks(claim)
    assert state == "pending"
    assert "alias" in why


@pytest.mark.usefixtures("asked")
async def test_a_bogus_signature_verifies_nothing_and_a_good_one_does(app: App, zone: NameServer) -> None:
    claim = await claimed(app, domain=SIGNED)
    value = await claim.value()
    changed = altered(value, -2)
    zone.publish_signed(txt(claim.name, changed), forged=(changed, value))
    state, why = await looks(claim)
    assert (state, why) == ("pending", "A name server failed or didn't respond in time")
    with asking(app, zone.address):  # a resolver without validation would have accepted it
        assert (await looks(claim))[0] == "proved"
    other = await claimed(app, domain=SIGNED)
    assert (await claim.send("DELETE")).status == 200
    zone.publish_signed(txt(other.name, await other.value()))
    assert (await looks(other))[0] == "proved"
    assert (await other.send("DELETE")).status == 200


@matrix("kind", ["refuses", "silent", "closes", "junk"])
async def test_a_dead_server_verifies_nothing_and_delays_no_one(app: App, kind: str, zone: NameServer) -> None:
    claim = await claimed(app)
    zone.publish(txt(claim.name, await claim.value()))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if kind == "silent":
            await asyncio.sleep(60)
        if kind == "junk":
            writer.write(b"\x00\x0cHTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    port = free_port()
    server = await asyncio.start_server(serve, "127.0.0.1", port) if kind != "refuses" else None
    try:
        # The second server has the record, but one that doesn't respond is enough for doubt.
        with asking(app, f"127.0.0.1:{port}", zone.address):
            app.clock.advance(11)
            checking = asyncio.create_task(claim.send("POST", "/check"))
            answered = 0
            async with asyncio.timeout(30):
                while not checking.done():
                    assert (await app.get("/healthz")).status == 200
                    answered += 1
                    await asyncio.sleep(0.02)
            found = checking.result().data
            assert answered > 5 or kind != "silent"
        assert found["state"] == "pending"
        assert found["message"]
    finally:
        if server is not None:
            server.close()


@pytest.mark.usefixtures("asked")
async def test_sixty_records_verify_nothing_though_the_right_one_is_among_them(app: App, zone: NameServer) -> None:
    claim = await claimed(app)
    zone.publish(*(txt(claim.name, f"x={number}") for number in range(59)), txt(claim.name, await claim.value()))
    assert await looks(claim) == ("pending", "There are more than 50 records")


@pytest.mark.usefixtures("asked")
async def test_an_answer_beyond_sixteen_kilobytes_is_not_read(app: App, zone: NameServer) -> None:
    claim = await claimed(app)
    long = [txt(claim.name, *(chr(97 + number) * 250 for _ in range(2))) for number in range(20)]
    longer = [txt(claim.name, *("y" * 250 for _ in range(30)), str(number)) for number in range(3)]
    zone.publish(*long, *longer, txt(claim.name, await claim.value()))
    assert await looks(claim) == ("pending", "The response is longer than 16384 bytes")


async def test_two_servers_that_disagree_verify_nothing(app: App, zone: NameServer) -> None:
    claim = await claimed(app)
    zone.publish(txt(claim.name, await claim.value()))
    with NameServer() as other:
        other.publish(txt(claim.name, "manifest-domain-verification=something-else"))
        for servers in ((zone, other), (other, zone)):
            with asking(app, *(server.address for server in servers)):
                assert await looks(claim) == ("pending", "The name servers returned different results")
        other.publish(txt(claim.name, await claim.value()))
        with asking(app, zone.address, other.address):
            assert (await looks(claim))[0] == "proved"


@contextlib.contextmanager
def calls_seen() -> Iterator[list[int]]:
    """Collect the ports that this process connects or sends to inside the block, with any library; 53 means a look-up
    by the system."""
    ports: list[int] = []
    is_on = True

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if is_on and event in ("socket.connect", "socket.sendto", "socket.sendmsg") and isinstance(given[1], tuple):
            ports.append(given[1][1])
        elif is_on and event in ("socket.getaddrinfo", "socket.gethostbyname"):
            ports.append(53)

    sys.addaudithook(hook)
    with socket.create_server(("127.0.0.1", 0)) as there, socket.create_connection(there.getsockname()):
        assert ports == [53, there.getsockname()[1]]  # it detects calls
        ports.clear()
    yield ports
    is_on = False


async def test_if_only_approval_is_allowed_no_query_is_sent(app: App, zone: NameServer) -> None:
    """A real listener in the settings counts queries by TCP and UDP, and no other host is called either."""
    seen: list[str] = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append("tcp")
        writer.close()

    class Datagrams(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            seen.append("udp")

    port = free_port()
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", port))
    try:
        with asking(app, f"127.0.0.1:{port}"):
            proved = await claimed(app)
            assert (await proved.check())["state"] == "pending"
            assert seen == ["tcp"]  # the listener is the server that is queried
            with asking(app, zone.address):
                zone.publish(txt(proved.name, await proved.value()))
                assert (await proved.check())["state"] == "proved"
            with asking(app, f"127.0.0.1:{port}", domain_proof="vouch"), calls_seen() as called:
                pending = await claimed(app)
                app.clock.advance(11)
                for claim in (pending, proved):
                    reply = await claim.send("POST", "/check")
                    assert (reply.status, reply.code) == (409, "CONFLICT")
                app.clock.advance(30 * 86400)
                assert await check_domains(app) == 0
                assert await proved.state() == "proved"  # nothing was checked, so nothing failed
                assert (await pending.send("POST", "/vouch", {"reason": "known to us for years"})).status == 200
                assert await pending.state() == "proved"
            assert not {53, port} & set(called)
        assert seen == ["tcp"]
    finally:
        server.close()
        transport.close()
        app.clock.advance(-30 * 86400)
