"""Schedules checks of domain records: on a client's request, and once a day by one of the processes."""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, bindparam, exists, select, update

from manifest_auth.audit import Origin
from manifest_auth.errors import RateLimited, existing
from manifest_auth.operations.domains import checks
from manifest_auth.operations.domains.checks import DAY_MS
from manifest_auth.services import RequestContext, Services
from manifest_auth.store import StoreUnavailable, SystemUnit, TenantUnit, cross_tenant, tenant_scoped
from manifest_auth.store.tables import domain_claims, provider_domains
from manifest_auth.tenants.claims import domains
from manifest_auth.tenants.claims.dns_lookup import LOOKUP_INTERVAL_MS, DnsVerdict, record_of
from manifest_auth.tenants.claims.domains import PENDING, VOUCHED, Claim

PENDING_MS: Final = 30 * DAY_MS
EVERY_S: Final = 20.0
AT_ONCE: Final = 8
_MOST = 200  # in a round


class _Key(NamedTuple):
    tenant_id: int
    domain: str


_C, _D = domain_claims.c, provider_domains.c
_NOW = bindparam("now", type_=BigInteger())
_DUE = cross_tenant(
    select(_C.tenant_id, _C.domain).where(_C.next_check_at <= _NOW).order_by(_C.next_check_at).limit(_MOST),
    _Key,
    because="records of all clients' domains are checked once a day",
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
    _Key,
    because="unproved claims of all clients expire, unless a provider lists the domain",
)


async def check_now(ctx: RequestContext, tenant_id: int, domain: str) -> tuple[Claim, str]:
    """The claim after a check of its record, and why it is not proved. Claims that the operator vouched for are not
    checked. Raises NotFound, RateLimited, and Conflict where DNS is off."""
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
    verdict = await services.domain_records.look_up(record_of(domain, claim.token), tenant_id)
    checked = existing(await _apply_verdict(services, ctx.origin, tenant_id, domain, verdict))
    return checked, verdict.why


async def run(services: Services) -> None:
    """Checks due claims until cancelled. After a store failure, the next round tries again."""
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
    """One round; the number of checked records."""
    if not services.domain_records.is_on:
        return 0
    now = services.clock.now_ms()
    due = await services.store.read(lambda unit: unit.all(_DUE, now=now))
    places = asyncio.Semaphore(AT_ONCE)

    async def one(key: _Key) -> bool:
        async with places:
            return await _check(services, key)

    return sum(await asyncio.gather(*(one(key) for key in due)))


async def _check(services: Services, key: _Key) -> bool:
    """Checks one claim; False when another process did."""
    now, own = services.clock.now_ms(), services.store.of(key.tenant_id)

    def take(unit: TenantUnit) -> Claim | None:
        if unit.change(_TAKE, domain=key.domain, now=now, later=now + DAY_MS):
            return domains.find(unit, key.domain)
        return None  # another process was first, or it was vouched for or released

    claim = await own.write(take)
    if claim is None:
        return False
    verdict = await services.domain_records.look_up_in_turn(record_of(key.domain, claim.token))
    await _apply_verdict(services, system(services), key.tenant_id, key.domain, verdict)
    return True


async def _apply_verdict(
    services: Services, who: Origin, tenant_id: int, domain: str, verdict: DnsVerdict
) -> Claim | None:
    return await services.store.write(
        lambda unit: checks.apply_verdict(unit, services, who, tenant_id, domain, verdict)
    )


async def drop_old(services: Services) -> None:
    """Removes claims that were pending for too long."""
    before = await services.store.now_ms(services.clock) - PENDING_MS
    old = await services.store.read(lambda unit: unit.all(_OLD, before=before))
    for key in old:
        await services.store.write(lambda unit: _drop(unit, services, key, before))  # noqa: B023 - awaited at once
    services.metrics.swept("domain_claims", len(old))


def _drop(unit: SystemUnit, services: Services, key: _Key, before: int) -> None:
    found = domains.find(unit.of(key.tenant_id), key.domain, lock=True)
    if found is not None and found.state == PENDING and not found.contested and found.claimed_at < before:
        domains.release(unit, key.tenant_id, system(services), key.domain)


def system(services: Services) -> Origin:
    """The server as the actor in the audit trail."""
    return Origin(services.clock.now_ms(), "system", "", "domain-check")
