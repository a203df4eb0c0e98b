"""Claims on e-mail domains: add, vouch, release."""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Sequence
from typing import Final

from manifest_auth import audit
from manifest_auth.audit import Act, Event
from manifest_auth.context import Acting
from manifest_auth.errors import Conflict, existing
from manifest_auth.runtime.clock import Random
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.tenants.claims import domain_names, domain_rows
from manifest_auth.tenants.claims.domain_rows import LISTING, MOST, PENDING, PROVED, VOUCHED, Claim
from manifest_auth.text import fields
from manifest_auth.text.models import ErrorCollector

__all__ = ["CLAIMED_ELSEWHERE", "LISTING", "claim", "claim_all", "get", "new_token", "release", "vouch"]


#: All that a client learns about another client's claim.
CLAIMED_ELSEWHERE: Final = "Another client of this installation holds this domain"


def claim(unit: TenantUnit, who: Acting, domain: str, random: Random) -> Claim:
    """A new claim, which does not count yet. Raises ValidationError, and Conflict where the client has it already."""
    step_up.check(who, Act.DOMAINS)
    domain_names.check(domain)
    if not _add(unit, who, domain, random):
        raise Conflict("This domain is claimed already")
    return get(unit, domain)


def claim_all(unit: TenantUnit, who: Acting, domains: Sequence[str], random: Random) -> None:
    """Claims the domains that a provider lists and the client has not claimed yet. Raises ValidationError, Conflict."""
    with ErrorCollector() as each:
        for number, domain in enumerate(domains):
            if domain_rows.find(unit, domain) is None:
                with each:
                    domain_names.check(domain, f"domains[{number}]")
                    _add(unit, who, domain, random)


def get(unit: TenantUnit, domain: str, *, lock: bool = False) -> Claim:
    """Raises NotFound."""
    return existing(domain_rows.find(unit, domain, lock=lock))


def vouch(unit: TenantUnit, who: Acting, domain: str, reason: str, random: Random, field: str = "domain") -> Claim:
    """Makes a claim count without DNS checks, because the operator vouches for it; adds it where there is none. Raises
    ValidationError, and Conflict where another client's claim counts."""
    step_up.check(who, Act.DOMAINS)
    fields.CLAIM_REASON.check(reason, "reason")
    domain_names.check(domain, field)
    if domain_rows.owner_of(unit, domain, lock=True) not in (None, unit.tenant_id):
        raise Conflict(CLAIMED_ELSEWHERE, details=[(field, CLAIMED_ELSEWHERE)])
    if domain_rows.find(unit, domain) is None:
        _add(unit, who, domain, random)
    before = get(unit, domain, lock=True)
    if domain_rows.own(unit, domain) != unit.tenant_id:
        raise Conflict(CLAIMED_ELSEWHERE, details=[(field, CLAIMED_ELSEWHERE)])
    after = before._replace(
        state=PROVED, proof=VOUCHED, reason=reason, contested=0, proved_at=who.origin.at, failing_since=None,
        notices=0, next_check_at=None,
    )  # fmt: skip
    audit.record(
        unit, who, Event.DOMAIN_VOUCHED, f"domain:{domain}", reason=reason, before=[before.state, before.proof]
    )
    return domain_rows.put(unit, after)


def release(unit: SystemUnit, tenant_id: int, who: Acting, domain: str) -> None:
    """Removes a claim, and the ownership where it counted. Raises NotFound."""
    step_up.check(who, Act.DOMAINS)
    owner, own = domain_rows.owner_of(unit, domain, lock=True), unit.of(tenant_id)
    gone = get(own, domain, lock=True)
    domain_rows.disown(own, domain)
    domain_rows.remove(own, domain)
    if gone.contested and owner not in (None, tenant_id):
        domain_rows.mark_contested(unit.of(owner), domain, False)
    state = {"state": gone.state, "proof": gone.proof, "counted": owner == tenant_id}
    audit.record(own, who, Event.DOMAIN_RELEASED, f"domain:{domain}", **state)


def _add(unit: TenantUnit, who: Acting, domain: str, random: Random) -> bool:
    if domain_rows.count(unit) >= MOST:
        raise Conflict(f"A client claims at most {MOST} domains")
    origin = who.origin
    added = Claim(
        tenant_id=unit.tenant_id, domain=domain, token=new_token(random), state=PENDING, proof=None, contested=0,
        claimed_by=origin.actor, reason="", claimed_at=origin.at, proved_at=None, checked_at=None, failing_since=None,
        notices=0, next_check_at=None,
    )  # fmt: skip
    if not domain_rows.add(unit, added):
        return False
    audit.record(unit, who, Event.DOMAIN_CLAIMED, f"domain:{domain}")
    return True


def new_token(random: Random) -> str:
    """160 random bits as 32 characters."""
    return b32encode(random.bytes(20)).decode("ascii").lower()
