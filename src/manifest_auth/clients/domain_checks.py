"""Checks of domain claims: looks up a DNS record on request and once a day, and applies the result."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, bindparam, exists, select, update

from manifest_auth import audit, providers
from manifest_auth.audit import Act, Event, Origin
from manifest_auth.clients import admins_way_in, notices
from manifest_auth.errors import Conflict, RateLimited, ValidationError, existing
from manifest_auth.services import RequestContext, Services
from manifest_auth.store import StoreUnavailable, SystemUnit, TenantUnit, cross_tenant, tenant_scoped
from manifest_auth.store.tables import domain_claims, provider_domains
from manifest_auth.tenants import step_up
from manifest_auth.tenants.claims import directories, domains
from manifest_auth.tenants.claims.dns_lookup import LOOKUP_INTERVAL_MS, DnsVerdict
from manifest_auth.tenants.claims.domains import DNS, FAILING, LAPSED, LAPSES_MS, PENDING, PROVED, VOUCHED, Claim
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import ErrorCollector

# The DNS verdict is an argument, and its consequences are written in one transaction. A claim keeps the domain while
# its record is visible, and loses it only after two weeks without the record. So an hour of forged or broken DNS has no
# effect.

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
NOTICES_MS: Final = (DAY_MS, 7 * DAY_MS)  # and another one when it lapses


class _Case(NamedTuple):
    """A check: the claim before it, and the owner of the domain."""

    unit: SystemUnit
    who: Origin
    services: Services
    claim: Claim
    owner: int | None

    def record(self, tenant_id: int, event: Event, **detail: object) -> None:
        audit.record(self.unit.of(tenant_id), self.who, event, f"domain:{self.claim.domain}", **detail)

    def put(self, **changes: object) -> Claim:
        return domains.put(self.unit.of(self.claim.tenant_id), self.claim._replace(**changes))  # type: ignore[arg-type]  # callers name columns

    def next_check(self, failing_since: int | None = None) -> int:
        """Returns a time about a day from now, with a random spread of two hours either way; earlier if a notice or the
        lapse is due."""
        usual = self.who.at + 22 * HOUR_MS + int.from_bytes(self.services.random.bytes(4)) % (4 * HOUR_MS)
        due = [failing_since + after for after in (*NOTICES_MS, LAPSES_MS)] if failing_since is not None else []
        return min([usual, *(at for at in due if at > self.who.at)])


def apply_verdict(
    unit: SystemUnit, services: Services, who: Origin, tenant_id: int, domain: str, verdict: DnsVerdict
) -> Claim | None:
    """Applies the verdict of a DNS check to a claim, and records what changed. Returns the claim, or None if it no
    longer exists."""
    owner = domains.owner_of(unit, domain, lock=True)
    claim = domains.find(unit.of(tenant_id), domain, lock=True)
    if claim is None:
        return None
    if claim.proof == VOUCHED:
        return claim
    case = _Case(unit, who, services, claim, owner)
    if verdict.proved:
        return _record_found(case)
    return _missing_at_owner(case) if owner == tenant_id else _missing(case)


def _record_found(case: _Case) -> Claim:
    claim, own = case.claim, case.unit.of(case.claim.tenant_id)
    if domains.own(own, claim.domain) != claim.tenant_id:
        return _contest(case)
    if case.owner is None:
        case.record(claim.tenant_id, Event.DOMAIN_MOVED if claim.contested else Event.DOMAIN_PROVED, how=DNS)
    elif claim.state != PROVED or claim.proof != DNS:
        case.record(claim.tenant_id, Event.DOMAIN_PROVED, how=DNS, before=[claim.state, claim.proof])
    contested = claim.contested if case.owner is not None else 0
    proved_at = claim.proved_at if claim.proof == DNS and case.owner is not None else case.who.at
    return case.put(
        state=PROVED,
        proof=DNS,
        contested=contested,
        proved_at=proved_at,
        failing_since=None,
        notices=0,
        next_check_at=case.next_check(),
    )


def _contest(case: _Case) -> Claim:
    """Handles a claim whose record exists, but whose domain belongs to another client. It is checked every hour, so
    that it takes effect soon after the domain is free."""
    claim = case.claim
    owner = domains.owner_of(case.unit, claim.domain)
    assert owner is not None
    domains.mark_contested(case.unit.of(owner), claim.domain, True)
    if not claim.contested:
        for tenant_id in sorted((claim.tenant_id, owner)):
            case.record(tenant_id, Event.DOMAIN_CONTESTED, holds=tenant_id == owner)
        if case.services.domain_records.should_notify(claim.domain, claim.tenant_id):
            notices.contested(case.unit, case.services, case.who, claim.domain, owner, claim.tenant_id)
    return case.put(contested=1, failing_since=None, next_check_at=case.who.at + HOUR_MS)


def _missing_at_owner(case: _Case) -> Claim:
    claim, now = case.claim, case.who.at
    since = claim.failing_since if claim.failing_since is not None else now
    unit = case.unit.of(claim.tenant_id)
    if now >= since + LAPSES_MS:
        domains.disown(unit, claim.domain)
        case.record(claim.tenant_id, Event.DOMAIN_LAPSED)
        after = case.put(state=LAPSED, proof=None, contested=0, notices=0, next_check_at=None)
        notices.lapsed(unit, case.services, case.who, claim)
        return after
    if claim.state != FAILING:
        case.record(claim.tenant_id, Event.DOMAIN_FAILING)
    due = sum(now >= since + after for after in NOTICES_MS)
    if due > claim.notices:
        notices.failing(unit, case.services, case.who, claim, since + LAPSES_MS)
    return case.put(state=FAILING, failing_since=since, notices=due, next_check_at=case.next_check(since))


def _missing(case: _Case) -> Claim:
    """Handles a missing record of a claim that isn't in effect. A contest ends after two weeks without the record."""
    claim = case.claim
    if not claim.contested:
        return claim
    since = claim.failing_since if claim.failing_since is not None else case.who.at
    if case.who.at < since + LAPSES_MS:
        return case.put(failing_since=since, next_check_at=case.who.at + HOUR_MS)
    if case.owner is not None:
        domains.mark_contested(case.unit.of(case.owner), claim.domain, False)
    return case.put(contested=0, failing_since=None, next_check_at=None)


PENDING_MS: Final = 30 * DAY_MS
EVERY_S: Final = 20.0
AT_ONCE: Final = 8
_MOST = 200  # per round


_C, _D = domain_claims.c, provider_domains.c
_NOW = bindparam("now", type_=BigInteger())
_DUE = cross_tenant(
    select(_C.tenant_id, _C.domain).where(_C.next_check_at <= _NOW).order_by(_C.next_check_at).limit(_MOST),
    because="one job checks the domain records of all clients once a day",
)
_TAKE = tenant_scoped(
    update(domain_claims)
    .where(_C.domain == bindparam("domain"), _C.next_check_at <= _NOW)
    .values(next_check_at=bindparam("later"), checked_at=_NOW)
)
_NAMED = exists().where(_D.tenant_id == _C.tenant_id, _D.domain == _C.domain)
_OLD = cross_tenant(
    select(_C.tenant_id, _C.domain)
    .where(_C.state == PENDING, _C.contested == 0, _C.claimed_at < bindparam("before", type_=BigInteger()), ~_NAMED)
    .limit(_MOST),
    because="one job deletes unverified claims of all clients, unless a provider lists the domain",
)


async def check_now(ctx: RequestContext, tenant_id: int, domain: str) -> tuple[Claim, str]:
    """Returns the claim after a check of its record, and why it isn't verified. Claims that the operator approved
    aren't checked. Raises NotFound, RateLimited, or Conflict if DNS is turned off."""
    services, own = ctx.services, ctx.services.store.of(tenant_id)
    claim = await own.read(lambda unit: domains.get(unit, domain))
    if claim.proof == VOUCHED:
        return claim, ""
    services.domain_records.check_on()

    def begin(unit: TenantUnit) -> Claim:
        found = domains.get(unit, domain, lock=True)
        if not domains.mark_checked(unit, domain, ctx.now, LOOKUP_INTERVAL_MS):
            wait = (found.checked_at or 0) + LOOKUP_INTERVAL_MS - ctx.now
            raise RateLimited(retry_after=max(1, -(-wait // 1000)), keeps_writes=False)
        return found

    claim = await own.write(begin)
    verdict = await services.domain_records.look_up(claim.record, tenant_id)
    checked = existing(await _apply_verdict(services, ctx.origin, tenant_id, domain, verdict))
    return checked, verdict.why


async def run(services: Services) -> None:
    """Checks due claims until canceled. If the store fails, the next round tries again."""
    while True:
        try:
            await drop_old(services)
            await check_due(services)
        except StoreUnavailable as error:
            services.log.info("domain_checks_failed", error=str(error))
        except Exception:
            services.log.exception("domain_checks_failed")
        await asyncio.sleep(EVERY_S)


async def check_due(services: Services) -> int:
    """Runs one round. Returns the number of checked records."""
    if not services.domain_records.is_on:
        return 0
    now = services.clock.now_ms()
    due = await services.store.read(lambda unit: unit.all(_DUE, now=now))
    places = asyncio.Semaphore(AT_ONCE)

    async def one(tenant_id: int, domain: str) -> bool:
        async with places:
            return await _check(services, tenant_id, domain)

    return sum(await asyncio.gather(*(one(*key) for key in due)))


async def _check(services: Services, tenant_id: int, domain: str) -> bool:
    """Checks one claim. Returns False if another process did."""
    now, own = services.clock.now_ms(), services.store.of(tenant_id)

    def take(unit: TenantUnit) -> Claim | None:
        if unit.change(_TAKE, domain=domain, now=now, later=now + DAY_MS):
            return domains.find(unit, domain)
        return None  # another process was first, or the claim was approved or released

    claim = await own.write(take)
    if claim is None:
        return False
    verdict = await services.domain_records.look_up_in_turn(claim.record)
    await _apply_verdict(services, system(services), tenant_id, domain, verdict)
    return True


async def _apply_verdict(
    services: Services, who: Origin, tenant_id: int, domain: str, verdict: DnsVerdict
) -> Claim | None:
    return await services.store.write(lambda unit: apply_verdict(unit, services, who, tenant_id, domain, verdict))


async def drop_old(services: Services) -> None:
    """Removes claims that were pending for too long."""
    before = await services.store.now_ms(services.clock) - PENDING_MS
    old = await services.store.read(lambda unit: unit.all(_OLD, before=before))
    for tenant_id, domain in old:
        await services.store.write(lambda unit: _drop(unit, services, tenant_id, domain, before))  # noqa: B023 - awaited
    services.metrics.swept("domain_claims", len(old))


def _drop(unit: SystemUnit, services: Services, tenant_id: int, domain: str, before: int) -> None:
    found = domains.find(unit.of(tenant_id), domain, lock=True)
    if found is not None and found.state == PENDING and not found.contested and found.claimed_at < before:
        domains.release(unit, tenant_id, system(services), domain)


def system(services: Services) -> Origin:
    """The server as the actor in the audit trail."""
    return Origin(services.clock.now_ms(), "system", "", "domain-check")


def claim_directory(unit: TenantUnit, ctx: RequestContext, directory: str, cloud: str) -> directories.Claim:
    """Claims a directory for the client. ``directory`` is its GUID. ``cloud`` is the name of a Microsoft cloud, or
    empty for the installation's. Raises ValidationError or Conflict."""
    step_up.check(ctx, Act.DOMAINS)
    with ErrorCollector() as each:
        with each:
            directory = directories.check(directory)
        with each:
            try:
                ctx.services.microsoft.clouds.get(cloud)
            except ValueError as error:
                raise ValidationError(details=[("cloud", _("This installation doesn't have this cloud"))]) from error
    if not directories.claim(unit, ctx, directory, cloud):
        raise Conflict(_("The client already claims this directory"))
    return directories.get(unit, directory)


def release_directory(unit: TenantUnit, ctx: RequestContext, directory: str) -> None:
    """Releases a claim. Tokens of the directory then no longer work. Raises NotFound, and the errors of
    :func:`.admins_way_in.check_stays`."""
    step_up.check(ctx, Act.DOMAINS)
    of_tokens = providers.find_with_issuer(unit, "entra", directory)
    if of_tokens is not None:
        admins_way_in.check_stays(unit, ctx, of_tokens)
    directories.release(unit, ctx, directory)
