"""Applies the result of a DNS check to a claim on a domain.

The DNS verdict is an argument, and its consequences are written in one transaction. A claim keeps the domain while its
record is seen, and loses it only after two weeks without, so that an hour of forged or broken DNS has no effect.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from manifest_auth import audit
from manifest_auth.audit import Event, Origin
from manifest_auth.operations.domains import notices
from manifest_auth.services import Services
from manifest_auth.store import SystemUnit
from manifest_auth.tenants.claims import domains
from manifest_auth.tenants.claims.dns_lookup import DnsVerdict
from manifest_auth.tenants.claims.domains import DNS, FAILING, LAPSED, LAPSES_MS, PROVED, VOUCHED, Claim

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
NOTICES_MS: Final = (DAY_MS, 7 * DAY_MS)  # and one more when it lapses


class _Case(NamedTuple):
    """One check: the claim before it, and the owner of the domain."""

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
        """About a day from now, with a random spread of two hours either way; earlier where a notice or the lapse is
        due."""
        usual = self.who.at + 22 * HOUR_MS + int.from_bytes(self.services.random.bytes(4)) % (4 * HOUR_MS)
        due = [failing_since + after for after in (*NOTICES_MS, LAPSES_MS)] if failing_since is not None else []
        return min([usual, *(at for at in due if at > self.who.at)])


def apply_verdict(
    unit: SystemUnit, services: Services, who: Origin, tenant_id: int, domain: str, verdict: DnsVerdict
) -> Claim | None:
    """Applies the verdict of a DNS check to a claim and records what changed. Returns the claim; None: it is gone."""
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
        state=PROVED, proof=DNS, contested=contested, proved_at=proved_at, failing_since=None, notices=0,
        next_check_at=case.next_check(),
    )  # fmt: skip


def _contest(case: _Case) -> Claim:
    """The record of a claim exists, but another client owns the domain. Checked every hour, so that the claim counts
    soon after the domain is free."""
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
    """The record of a claim that does not count is missing. A contest ends after two weeks without the record."""
    claim = case.claim
    if not claim.contested:
        return claim
    since = claim.failing_since if claim.failing_since is not None else case.who.at
    if case.who.at < since + LAPSES_MS:
        return case.put(failing_since=since, next_check_at=case.who.at + HOUR_MS)
    if case.owner is not None:
        domains.mark_contested(case.unit.of(case.owner), claim.domain, False)
    return case.put(contested=0, failing_since=None, next_check_at=None)
