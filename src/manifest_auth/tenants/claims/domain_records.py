"""Asks name servers whether a TXT record stands where it must.

Over TCP, since an answer by UDP can be forged by who never saw the question. What is not seen for certain proves
nothing: an alias, a failure, servers that disagree, more records than anyone needs.
"""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from manifest_auth.errors import Conflict, RateLimited
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.settings import Settings, dns_servers
from manifest_auth.tenants.claims.domain_names import Record

if TYPE_CHECKING:
    from dns.message import Message
    from structlog.typing import FilteringBoundLogger

QUERY_S, TOGETHER_S = 3.0, 5.0
APART_MS: Final = 10_000  # between two looks that a client asks for
MOST_RECORDS, MOST_BYTES = 50, 16 * 1024
_AT_ONCE: Final = 16
_DAY_MS: Final = 86_400_000
_OF_CLIENT: Final = 4  # one client's dead name servers keep no other client waiting
_DEAD = "A name server failed or did not answer in time"


class Verdict(NamedTuple):
    """``why``: a sentence for the client where nothing was proved."""

    proved: bool
    why: str = ""


class DomainRecords:
    """The look-ups of one process."""

    def __init__(self, settings: Settings, log: FilteringBoundLogger, clock: Clock) -> None:
        self._clock = clock
        self._looked: dict[tuple[int, str], int] = {}  # when a client last had a name looked at, oldest first
        self._told: dict[tuple[int, str], int] = {}  # when a contest was last told of, oldest first
        self._named, self._log = dns_servers(settings), log
        self.is_on = settings.domain_proof == "dns"
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._under_way: Counter[int] = Counter()

    def check_on(self) -> None:
        """Raises Conflict where this installation asks no name server."""
        if not self.is_on:
            raise Conflict("This installation proves no domain by DNS: its operator vouches for a domain")

    async def look(self, record: Record, tenant_id: int) -> Verdict:
        """Whether all servers say that the record is there. Raises RateLimited when too many look-ups of the client are
        under way, and Conflict where none may leave."""
        if self._under_way[tenant_id] >= _OF_CLIENT:
            raise RateLimited(retry_after=int(TOGETHER_S))
        self._check_apart(tenant_id, record.name)
        self._under_way[tenant_id] += 1
        try:
            return await self.look_in_turn(record)
        finally:
            self._under_way[tenant_id] -= 1
            if not self._under_way[tenant_id]:
                del self._under_way[tenant_id]

    def _check_apart(self, tenant_id: int, name: str) -> None:
        """A claim that is released and made anew is looked at no more often. Raises RateLimited."""
        now, key = self._clock.now_ms(), (tenant_id, name)
        while self._looked and next(iter(self._looked.values())) <= now - APART_MS:
            del self._looked[next(iter(self._looked))]
        if (left := self._looked.get(key, 0) + APART_MS - now) > 0:
            raise RateLimited(retry_after=-(-left // 1000))
        self._looked[key] = now

    def tells_of(self, domain: str, contester: int) -> bool:
        """Whether e-mails tell of a contest now: once a day for a domain and the client that contests it."""
        now, key = self._clock.now_ms(), (contester, domain)
        while self._told and next(iter(self._told.values())) <= now - _DAY_MS:
            del self._told[next(iter(self._told))]
        if key in self._told:
            return False
        self._told[key] = now
        return True

    async def look_in_turn(self, record: Record) -> Verdict:
        """As :meth:`look`, for the server's own checks. Raises Conflict where none may leave."""
        self.check_on()
        async with self._places:
            return await self._ask_all(record)

    async def _ask_all(self, record: Record) -> Verdict:
        servers = self._named or await asyncio.to_thread(_system)
        try:
            async with asyncio.timeout(TOGETHER_S):
                verdicts = await asyncio.gather(*(self._ask(server, record) for server in servers))
        except TimeoutError:
            return Verdict(False, _DEAD)
        refused = [verdict for verdict in verdicts if not verdict.proved]
        if not verdicts:
            return Verdict(False, "This installation knows no name server")
        if refused and len(refused) < len(verdicts):
            return Verdict(False, "The name servers that were asked do not agree")
        return refused[0] if refused else Verdict(True)

    async def _ask(self, server: tuple[str, int], record: Record) -> Verdict:
        from dns.exception import DNSException

        try:
            async with asyncio.timeout(QUERY_S):
                return await _exchange(server, record)
        except (OSError, TimeoutError, EOFError, DNSException) as error:
            self._log.info("dns_failed", server=server[0], name=record.name, error=f"{type(error).__name__}: {error}")
            return Verdict(False, _DEAD)


def _system() -> list[tuple[str, int]]:
    """The servers that the operating system uses."""
    from dns.resolver import NoResolverConfiguration, Resolver

    try:
        found = Resolver()
    except NoResolverConfiguration:
        return []
    return [(str(address), found.port) for address in found.nameservers]


async def _exchange(server: tuple[str, int], record: Record) -> Verdict:
    """One question over TCP (RFC 7766). Raises what a broken server or connection brings."""
    import dns.message  # with the library of DNS, which most processes never need

    question = dns.message.make_query(record.name, "TXT", want_dnssec=True)
    reader, writer = await asyncio.open_connection(*server, limit=MOST_BYTES)
    try:
        wire = question.to_wire()
        writer.write(struct.pack("!H", len(wire)) + wire)
        await writer.drain()
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        if size > MOST_BYTES:
            return Verdict(False, f"The answer is longer than {MOST_BYTES} bytes")
        answer = dns.message.from_wire(await reader.readexactly(size))
    finally:
        writer.close()
    if not question.is_response(answer):
        return Verdict(False, _DEAD)
    return judge(answer, record)


def judge(answer: Message, record: Record) -> Verdict:
    """What an answer proves."""
    import dns.flags
    import dns.name
    import dns.rcode
    import dns.rdataclass
    import dns.rdatatype

    if answer.rcode() == dns.rcode.NXDOMAIN:
        return Verdict(False, "There is no such record")
    if answer.rcode() != dns.rcode.NOERROR or answer.flags & dns.flags.TC:
        return Verdict(False, _DEAD)
    if any(found.rdtype in (dns.rdatatype.CNAME, dns.rdatatype.DNAME) for found in answer.answer):
        return Verdict(False, "The name is an alias (CNAME or DNAME); the record must stand at the name itself")
    name = dns.name.from_text(record.name)
    texts = [
        b"".join(one.strings)
        for found in answer.answer
        if found.name == name and found.rdtype == dns.rdatatype.TXT and found.rdclass == dns.rdataclass.IN
        for one in found
    ]
    if len(texts) > MOST_RECORDS:
        return Verdict(False, f"There are more than {MOST_RECORDS} records")
    if record.value.encode() in texts:
        return Verdict(True)
    return Verdict(False, "The record has another value" if texts else "There is no such record")
