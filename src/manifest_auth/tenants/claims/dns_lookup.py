"""DNS records that verify email domains: names that can be claimed, and the lookup at name servers."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from manifest_auth.errors import Conflict, RateLimited, ValidationError
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.settings import Settings, dns_servers
from manifest_auth.text.canonical import DOMAIN
from manifest_auth.text.languages import marked as _

if TYPE_CHECKING:
    from dns.message import Message
    from publicsuffixlist import PublicSuffixList

    from manifest_auth.runtime.logs import FilteringBoundLogger


_LABEL = "_manifest-auth-challenge"
_VALUE = "manifest-domain-verification="


class Record(NamedTuple):
    """A TXT record."""

    name: str
    value: str


def record_of(domain: str, token: str) -> Record:
    """Returns the record that verifies a claim. The token belongs to one claim, so the record verifies no other."""
    return Record(f"{_LABEL}.{domain}", f"{_VALUE}{token}")


def check(domain: str, field: str = "domain") -> str:
    """Returns the domain. Raises ValidationError for an invalid one, and for a public suffix, because the owner of
    ``co.uk`` would speak for every company below it."""
    if not DOMAIN.match(domain) or domain.rpartition(".")[2].isdigit():
        raise ValidationError(details=[(field, _("Must be a domain in lowercase, for example acme.example"))])
    if _suffixes().is_public(domain):
        raise ValidationError(details=[(field, _("This is a public suffix, and the names below it belong to others"))])
    return domain


@cache
def _suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList  # a large list, needed only to claim a domain

    return PublicSuffixList()  # the ICANN and private sections, as bundled with the library


# Uses TCP, since an attacker who does not see the query can forge a response over UDP. Any doubt means not verified: an
# alias, a failure, servers that disagree, too many records.

QUERY_S, ALL_SERVERS_S = 3.0, 5.0
LOOKUP_INTERVAL_MS: Final = 10_000  # between two lookups of one name that a client requests
MOST_RECORDS, MOST_BYTES = 50, 16 * 1024
_AT_ONCE: Final = 16
_DAY_MS: Final = 86_400_000
_PER_CLIENT: Final = 4  # lookups of one client at a time, so that its dead name servers do not delay others
_NO_ANSWER = _("A name server failed or didn't respond in time")


class DnsVerdict(NamedTuple):
    """The result of a lookup. ``why`` is the message for the client if nothing was verified."""

    proved: bool
    why: str = ""


class DomainRecords:
    """The lookups of one process."""

    def __init__(self, settings: Settings, log: FilteringBoundLogger, clock: Clock) -> None:
        self._clock = clock
        self._last_lookups: dict[tuple[int, str], int] = {}  # time of the last lookup by client and name, oldest first
        self._notified: dict[tuple[int, str], int] = {}  # time of the last notice of a contest, oldest first
        self._configured, self._log = dns_servers(settings), log
        self.is_on = settings.domain_proof == "dns"
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._under_way: Counter[int] = Counter()

    def check_on(self) -> None:
        """Checks that lookups are on. Raises Conflict if this installation calls no name server."""
        if not self.is_on:
            raise Conflict(
                _("This installation doesn't verify domains with DNS. Ask the operator to approve the domain")
            )

    async def look_up(self, record: Record, tenant_id: int) -> DnsVerdict:
        """Whether all servers return the record. Raises RateLimited if the client has too many lookups in progress, and
        Conflict if DNS is off."""
        if self._under_way[tenant_id] >= _PER_CLIENT:
            raise RateLimited(retry_after=int(ALL_SERVERS_S))
        self._check_interval(tenant_id, record.name)
        self._under_way[tenant_id] += 1
        try:
            return await self.look_up_in_turn(record)
        finally:
            self._under_way[tenant_id] -= 1
            if not self._under_way[tenant_id]:
                del self._under_way[tenant_id]

    def _check_interval(self, tenant_id: int, name: str) -> None:
        """Limits lookups of one name, even if its claim is released and added again. Raises RateLimited."""
        now, key = self._clock.now_ms(), (tenant_id, name)
        while self._last_lookups and next(iter(self._last_lookups.values())) <= now - LOOKUP_INTERVAL_MS:
            del self._last_lookups[next(iter(self._last_lookups))]
        if (left := self._last_lookups.get(key, 0) + LOOKUP_INTERVAL_MS - now) > 0:
            raise RateLimited(retry_after=-(-left // 1000))
        self._last_lookups[key] = now

    def should_notify(self, domain: str, contester: int) -> bool:
        """Whether to send notices of a contest: once a day for a domain and the client that contests it."""
        now, key = self._clock.now_ms(), (contester, domain)
        while self._notified and next(iter(self._notified.values())) <= now - _DAY_MS:
            del self._notified[next(iter(self._notified))]
        if key in self._notified:
            return False
        self._notified[key] = now
        return True

    async def look_up_in_turn(self, record: Record) -> DnsVerdict:
        """Looks up a record like :meth:`look_up`, for the server's own checks, without the client's limits. Raises
        Conflict if DNS is off."""
        self.check_on()
        async with self._slots:
            return await self._ask_all(record)

    async def _ask_all(self, record: Record) -> DnsVerdict:
        servers = self._configured or await asyncio.to_thread(_system)
        try:
            async with asyncio.timeout(ALL_SERVERS_S):
                verdicts = await asyncio.gather(*(self._ask(server, record) for server in servers))
        except TimeoutError:
            return DnsVerdict(False, _NO_ANSWER)
        refused = [verdict for verdict in verdicts if not verdict.proved]
        if not verdicts:
            return DnsVerdict(False, _("This installation has no name server"))
        if refused and len(refused) < len(verdicts):
            return DnsVerdict(False, _("The name servers returned different results"))
        return refused[0] if refused else DnsVerdict(True)

    async def _ask(self, server: tuple[str, int], record: Record) -> DnsVerdict:
        from dns.exception import DNSException

        try:
            async with asyncio.timeout(QUERY_S):
                return await _exchange(server, record)
        except (OSError, TimeoutError, EOFError, DNSException) as error:
            self._log.info("dns_failed", server=server[0], name=record.name, error=f"{type(error).__name__}: {error}")
            return DnsVerdict(False, _NO_ANSWER)


def _system() -> list[tuple[str, int]]:
    """Returns the name servers of the operating system."""
    from dns.resolver import NoResolverConfiguration, Resolver

    try:
        found = Resolver()
    except NoResolverConfiguration:
        return []
    return [(str(address), found.port) for address in found.nameservers]


async def _exchange(server: tuple[str, int], record: Record) -> DnsVerdict:
    """Sends one query over TCP (RFC 7766). Raises the errors of sockets and of the DNS library."""
    import dns.message  # imported late: most processes never need it

    question = dns.message.make_query(record.name, "TXT", want_dnssec=True)
    reader, writer = await asyncio.open_connection(*server, limit=MOST_BYTES)
    try:
        wire = question.to_wire()
        writer.write(struct.pack("!H", len(wire)) + wire)
        await writer.drain()
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        if size > MOST_BYTES:
            return DnsVerdict(False, _("The response is longer than %(number)s bytes", number=MOST_BYTES))
        answer = dns.message.from_wire(await reader.readexactly(size))
    finally:
        writer.close()
    if not question.is_response(answer):
        return DnsVerdict(False, _NO_ANSWER)
    return verdict_of(answer, record)


def verdict_of(answer: Message, record: Record) -> DnsVerdict:
    """Returns the verdict on a response."""
    import dns.flags
    import dns.name
    import dns.rcode
    import dns.rdataclass
    import dns.rdatatype

    if answer.rcode() == dns.rcode.NXDOMAIN:
        return DnsVerdict(False, _("The record doesn't exist"))
    if answer.rcode() != dns.rcode.NOERROR or answer.flags & dns.flags.TC:
        return DnsVerdict(False, _NO_ANSWER)
    if any(found.rdtype in (dns.rdatatype.CNAME, dns.rdatatype.DNAME) for found in answer.answer):
        return DnsVerdict(False, _("The name is an alias (CNAME or DNAME). The record must be at the name itself"))
    name = dns.name.from_text(record.name)
    texts = [
        b"".join(one.strings)
        for found in answer.answer
        if found.name == name and found.rdtype == dns.rdatatype.TXT and found.rdclass == dns.rdataclass.IN
        for one in found
    ]
    if len(texts) > MOST_RECORDS:
        return DnsVerdict(False, _("There are more than %(number)s records", number=MOST_RECORDS))
    if record.value.encode() in texts:
        return DnsVerdict(True)
    return DnsVerdict(False, _("The record has a different value") if texts else _("The record doesn't exist"))
