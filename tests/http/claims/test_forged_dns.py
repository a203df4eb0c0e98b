"""Forged DNS responses, and a client that requests too many look-ups at the same time."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.domain_claims import asking, claimed
from tests.support.matrix import matrix
from tests.support.processes import free_port

pytestmark = pytest.mark.one_store

Answer = Callable[[dns.message.Message], bytes]


@contextlib.asynccontextmanager
async def server(answer: Answer | None) -> AsyncIterator[str]:
    """Run a server that responds as told, or never; returns its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        question = dns.message.from_wire(await reader.readexactly(size))
        if answer is None:
            await asyncio.sleep(20)
        else:
            wire = answer(question)
            writer.write(struct.pack("!H", len(wire)) + wire)
        writer.close()

    port = free_port()
    listening = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        listening.close()


def right(question: dns.message.Message, value: str) -> dns.message.Message:
    """The response that verifies the claim."""
    assert question.edns == 0
    assert question.ednsflags & dns.flags.DO
    assert question.flags & dns.flags.RD
    found = dns.message.make_response(question)
    found.answer = [dns.rrset.from_text(question.question[0].name, 60, "IN", "TXT", f'"{value}"')]
    return found


def _other_id(found: dns.message.Message) -> None:
    found.id ^= 1


def _other_question(found: dns.message.Message) -> None:
    found.question = dns.message.make_query("other.example.", "TXT").question


def _no_response(found: dns.message.Message) -> None:
    found.flags &= ~dns.flags.QR


def _cut_off(found: dns.message.Message) -> None:
    found.flags |= dns.flags.TC


def _failed(found: dns.message.Message) -> None:
    found.set_rcode(dns.rcode.SERVFAIL)


def _other_name(found: dns.message.Message) -> None:
    texts = [record.to_text() for record in found.answer[0]]
    found.answer = [dns.rrset.from_text("other.example.", 60, "IN", "TXT", *texts)]


def _other_class(found: dns.message.Message) -> None:
    texts = [record.to_text() for record in found.answer[0]]
    found.answer = [dns.rrset.from_text(found.answer[0].name, 60, "CH", "TXT", *texts)]


FORGED = [_other_id, _other_question, _no_response, _cut_off, _failed, _other_name, _other_class]
MALFORMED: dict[str, Callable[[bytes], bytes]] = {
    "bytes after its end": lambda wire: wire + bytes(2),
    "without its last byte": lambda wire: wire[:-1],
    "only a header": lambda wire: wire[:12],
    "empty": lambda _: b"",
    "16 KiB and a byte": lambda wire: wire.ljust(16 * 1024 + 1, b"\0"),
}


@matrix(
    ("change", "bytes_of"),
    [(None, bytes), *((change, bytes) for change in FORGED), *((None, change) for change in MALFORMED.values())],
    ids=["right", *(change.__name__ for change in FORGED), *MALFORMED],
)
async def test_an_answer_that_does_not_fit_the_question_verifies_nothing(
    app: App, change: Callable[[dns.message.Message], None] | None, bytes_of: Callable[[bytes], bytes]
) -> None:
    claim = await claimed(app)
    value = await claim.value()

    def answer(question: dns.message.Message) -> bytes:
        found = right(question, value)
        if change is not None:
            change(found)
        return bytes_of(found.to_wire())

    async with server(answer) as address:
        with asking(app, address):
            is_right = change is None and bytes_of is bytes
            assert (await claim.check())["state"] == ("proved" if is_right else "pending")


async def test_one_client_keeps_a_few_looks_under_way_and_no_more(app: App) -> None:
    """Otherwise, unresponsive name servers would occupy all slots and delay the other clients."""
    client = await new_client(app)
    claims = [await claimed(app, client, f"d{number}.{client}.example") for number in range(7)]
    async with server(None) as address:
        with asking(app, address):
            app.clock.advance(11)
            base, token = f"/api/admin/clients/{client}/domains", await app.admin_token()
            looks = (app.post(f"{base}/{claim.domain}/check", token=token) for claim in claims)
            replies = await asyncio.gather(*looks)
    assert sorted(reply.status for reply in replies) == [200] * 4 + [429] * 3
