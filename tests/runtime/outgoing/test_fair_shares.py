"""In outgoing HTTP, clients that use many look-ups, connections, and calls leave each other client a share."""

from __future__ import annotations

import asyncio
import threading

import pytest

from manifest_auth.protocols.oidc import Client
from manifest_auth.runtime import outgoing as client
from manifest_auth.runtime import outgoing_guard as lookups
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.outgoing import Outgoing
from manifest_auth.runtime.outgoing_guard import Shares, Unreachable
from manifest_auth.runtime.settings import load
from tests.runtime.outgoing.outgoing_calls import get
from tests.support.oidc_op import provider
from tests.support.oidc_socket import Answer, Asked, Socket
from tests.support.rules import rule

HOSTILE, HONEST = range(1, 12), 99


def here(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


async def soon(shares: Shares, tenant_id: int) -> bool:
    """Whether a slot is available immediately."""
    try:
        await asyncio.wait_for(shares.acquire(tenant_id), 0.02)
    except TimeoutError:
        return False
    return True


async def test_a_client_gets_its_own_slots_whatever_the_others_hold_and_no_more() -> None:
    shares = Shares(own=2, most=5, common=8)
    for _ in range(5):
        assert await soon(shares, 1)
    assert not await soon(shares, 1)  # its maximum
    for _ in range(3):
        assert await soon(shares, 2)
    assert not await soon(shares, 2)  # the common slots are used up, and it has its own
    for tenant_id in (3, 4, 5):
        assert await soon(shares, tenant_id)
        assert await soon(shares, tenant_id)
        assert not await soon(shares, tenant_id)
    shares.release(3)
    assert not await soon(shares, 2)  # no common slot is free yet
    assert await soon(shares, 3)


async def test_who_gave_up_holds_nothing_and_keeps_no_one_waiting() -> None:
    shares = Shares(own=1, most=1, common=1)
    await shares.acquire(1)
    given_up = [asyncio.create_task(shares.acquire(1)) for _ in range(3)]
    last = asyncio.create_task(shares.acquire(1))
    await asyncio.sleep(0)
    for task in given_up:
        task.cancel()
    await asyncio.gather(*given_up, return_exceptions=True)
    shares.release(1)
    await asyncio.wait_for(last, 30)
    late = asyncio.create_task(shares.acquire(1))
    await asyncio.sleep(0)
    shares.release(1)
    late.cancel()  # its turn came at the same moment
    await asyncio.gather(late, return_exceptions=True)
    assert await soon(shares, 1)


async def test_of_those_who_wait_the_client_that_holds_least_comes_first() -> None:
    shares = Shares(own=1, most=4, common=4)
    for tenant_id in (1, 1, 1, 2):
        await shares.acquire(tenant_id)
    order: list[int] = []

    async def wait(tenant_id: int) -> None:
        await shares.acquire(tenant_id)
        order.append(tenant_id)

    waiting = [asyncio.create_task(wait(tenant_id)) for tenant_id in (1, 1, 2)]
    await asyncio.sleep(0)
    shares.release(1)
    shares.release(1)
    shares.release(1)
    await asyncio.gather(*waiting)
    assert order[0] == 2


@rule("OUTGOING")
async def test_dead_name_servers_of_some_clients_hold_up_no_other_client() -> None:
    gate, held_threads = threading.Event(), 0

    def resolve(host: str, port: int) -> list[str]:
        nonlocal held_threads
        if host.startswith("dead"):
            held_threads += 1
            gate.wait(30)
        return ["127.0.0.1"]

    calls = Outgoing(load({"MANIFEST_PROVIDER_TIMEOUT": "30"}), resolve=resolve)
    held = [
        asyncio.create_task(calls._resolver.resolve(f"dead{number}-of-{tenant_id}.example.com", 443, tenant_id))
        for tenant_id in HOSTILE
        for number in range(lookups.MOST_LOOKUPS + 1)
    ]
    while held_threads <= lookups.COMMON_LOOKUPS:  # until all common slots are used up
        await asyncio.sleep(0.01)
    with pytest.raises(Unreachable, match="can't connect"):
        await get(calls, "https://alive.example.com:1/", HONEST)
    for look_up in held:
        look_up.cancel()
    await asyncio.gather(*held, return_exceptions=True)
    # They were canceled, but their threads are still busy, which counts.
    with pytest.raises(Unreachable, match="can't connect"):
        await get(calls, "https://living.example.com:1/", HONEST)
    assert held_threads <= lookups.COMMON_LOOKUPS + lookups.OWN_LOOKUPS * len(HOSTILE)
    gate.set()
    await calls.close()


async def test_a_look_up_that_waits_for_the_share_of_one_client_is_not_waited_for_by_another() -> None:
    gate = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        if host.startswith("dead"):
            gate.wait(30)
        return ["127.0.0.1"]

    calls = Outgoing(load({"MANIFEST_PROVIDER_TIMEOUT": "30"}), resolve=resolve)
    most = lookups.MOST_LOOKUPS
    held: list[asyncio.Task[object]] = [
        asyncio.create_task(calls._resolver.resolve(f"dead{n}.example.com", 443, 1)) for n in range(most)
    ]
    await asyncio.sleep(0)
    held.append(asyncio.create_task(get(calls, "https://shared.example.com:1/", 1)))
    await asyncio.sleep(0.2)
    with pytest.raises(Unreachable, match="can't connect"):
        await get(calls, "https://shared.example.com:1/", HONEST)
    gate.set()
    await asyncio.gather(*held, return_exceptions=True)
    await calls.close()


@rule("OUTGOING")
@pytest.mark.parametrize("honest_host", ["a.localhost", "c.localhost"])
async def test_slow_providers_of_some_clients_hold_up_no_other_client_even_at_the_same_host(honest_host: str) -> None:
    gate, slow = threading.Event(), 0

    def answer(asked: Asked) -> Answer:
        nonlocal slow
        if asked.path == "/wait":
            slow += 1
            gate.wait(30)
        return Answer(body=b"{}")

    with Socket() as socket:
        socket.answer = answer
        threading.Thread(target=socket.serve, daemon=True).start()
        calls = Outgoing(load({"MANIFEST_PROVIDER_TIMEOUT": "30"}), resolve=here)
        hosts = [f"http://{name}.localhost:{socket.port}/wait" for name in ("a", "b")]
        held = [
            asyncio.create_task(get(calls, host, tenant_id))
            for tenant_id in HOSTILE
            for host in hosts
            for _ in range(client.MOST_AT_ONCE)
        ]
        while slow < client.COMMON:
            await asyncio.sleep(0.01)
        reply = await get(calls, f"http://{honest_host}:{socket.port}/", HONEST)
        assert reply.status == 200
        assert slow <= client.COMMON + client.OWN * len(HOSTILE)
        gate.set()
        await asyncio.gather(*held, return_exceptions=True)
        await calls.close()


async def test_what_a_provider_publishes_is_fetched_for_each_client_by_its_own_share() -> None:
    gate = threading.Event()
    with Socket() as socket, provider(Clock()) as op:

        def answer(asked: Asked) -> Answer:
            gate.wait(30)
            return Answer(body=b"{}")

        socket.answer = answer
        threading.Thread(target=socket.serve, daemon=True).start()
        calls = Outgoing(load({"MANIFEST_PROVIDER_TIMEOUT": "30"}), resolve=here)
        relying_party = Client(calls, Clock())
        hosts = [f"http://{name}.localhost:{socket.port}/" for name in ("a", "b")]
        held = [asyncio.create_task(get(calls, host)) for host in hosts for _ in range(client.MOST_AT_ONCE)]
        await asyncio.sleep(0.2)
        late = asyncio.create_task(relying_party.discover(op.issuer, calls.deadline(1)))
        await asyncio.sleep(0)
        found = await asyncio.wait_for(relying_party.discover(op.issuer, calls.deadline(HONEST)), 30)
        assert found.issuer == op.issuer
        gate.set()
        await asyncio.gather(late, *held, return_exceptions=True)
        await calls.close()
