"""Claims on email domains: add, verify, vouch, release; and the rows of ``domain_claims`` and ``domain_owners``."""

from __future__ import annotations

import re
from base64 import b32encode
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, Column, Table, Text, bindparam, delete, func, literal, or_, select, tuple_, update

from manifest_auth import audit, tenants
from manifest_auth.audit import Act, Event
from manifest_auth.context import Acting
from manifest_auth.errors import Conflict, NotFound, ValidationError, existing
from manifest_auth.runtime.clock import Random
from manifest_auth.store import (
    CrossTenant,
    Listing,
    SystemUnit,
    TenantUnit,
    columns,
    cross_tenant,
    global_,
    tenant_scoped,
    upsert,
)
from manifest_auth.store.tables import directory_claims, domain_claims, domain_owners, provider_names
from manifest_auth.store.tables import tenants as tenants_table
from manifest_auth.tenants import Tenant, step_up
from manifest_auth.tenants.claims import dns_lookup
from manifest_auth.tenants.claims.dns_lookup import Record, record_of
from manifest_auth.text import fields
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import ErrorCollector, Wire

# A claim counts exactly while ``domain_owners`` has it. The key there is the domain, so two clients cannot own the same
# one.

PENDING, PROVED, FAILING, LAPSED = "pending", "proved", "failing", "lapsed"
DNS, VOUCHED = "dns", "vouched"
MOST: Final = 100  # claims of a client
LAPSES_MS: Final = 14 * 86_400_000


class Claim(NamedTuple):
    tenant_id: int
    domain: str
    token: str
    state: str
    claimed_by: str
    claimed_at: int
    proof: str | None = None
    contested: int = 0
    reason: str = ""
    proved_at: int | None = None
    checked_at: int | None = None
    failing_since: int | None = None
    notices: int = 0
    next_check_at: int | None = None

    @property
    def counts(self) -> bool:
        """Whether the claim counts, as in ``domain_owners``."""
        return self.state in (PROVED, FAILING)

    @property
    def lapses_at(self) -> int | None:
        """When the claim lapses, unless its record is found before."""
        return self.failing_since + LAPSES_MS if self.state == FAILING and self.failing_since is not None else None

    @property
    def record(self) -> Record:
        """The TXT record that verifies the claim."""
        return record_of(self.domain, self.token)

    @property
    def id(self) -> str:
        """The sort key of lists."""
        return self.domain

    def why_not_proved(self, found: str = "") -> str:
        """Returns why the claim is not verified. ``found``: what the check that just ran did not find."""
        return CLAIMED_ELSEWHERE if self.contested and not self.counts else found


_C, _O, _T = domain_claims.c, domain_owners.c, tenants_table.c
ALL = select(*(_C[name] for name in Claim._fields))
_OF_DOMAIN = _C.domain == bindparam("domain")
_FIND = tenant_scoped(ALL.where(_OF_DOMAIN), Claim)
_LOCK = tenant_scoped(ALL.where(_OF_DOMAIN).with_for_update(), Claim)
_COUNT = tenant_scoped(select(func.count()).select_from(domain_claims), int)
_ADD = tenant_scoped(
    upsert(domain_claims)
    .values({name: bindparam(name) for name in Claim._fields if name != "tenant_id"})
    .on_conflict_do_nothing(index_elements=["tenant_id", "domain"])
)
_CHANGED = columns("state proof contested reason proved_at failing_since notices next_check_at")
_PUT = tenant_scoped(
    update(domain_claims).where(_OF_DOMAIN).values({name: bindparam("new_" + name) for name in _CHANGED})
)
_CONTEST = tenant_scoped(update(domain_claims).where(_OF_DOMAIN).values(contested=bindparam("is_contested")))
_LOOKED = tenant_scoped(
    update(domain_claims)
    .where(_OF_DOMAIN, or_(_C.checked_at.is_(None), _C.checked_at <= bindparam("before", type_=BigInteger())))
    .values(checked_at=bindparam("now"))
)
_REMOVE = tenant_scoped(delete(domain_claims).where(_OF_DOMAIN))
#: Filters take ``like`` (see :func:`manifest_auth.text.canonical.like`) and ``in_state``.
LISTING = Listing(
    ALL,
    Claim,
    key=_C.domain,
    sorts={"ID": _C.domain},
    filters={"search": _C.domain.like(bindparam("like"), escape="\\"), "state": _C.state == bindparam("in_state")},
)
_OWNER = global_(select(_O.tenant_id).where(_O.domain == bindparam("domain")), int)
_LOCK_OWNER = global_(select(_O.tenant_id).where(_O.domain == bindparam("domain")).with_for_update(), int)
_OWN = global_(
    upsert(domain_owners)
    .values(domain=bindparam("domain"), tenant_id=bindparam("owner"))
    .on_conflict_do_nothing(index_elements=["domain"])
)
_DISOWN = global_(delete(domain_owners).where(_O.domain == bindparam("domain"), _O.tenant_id == bindparam("owner")))


def owner_of(unit: SystemUnit | TenantUnit, domain: str, *, lock: bool = False) -> int | None:
    """Returns the client whose claim on the domain counts. ``lock``: lock the row until the transaction ends, always
    before any claim on the domain."""
    return unit.first(_LOCK_OWNER if lock else _OWNER, domain=domain)


def domain_counts(unit: TenantUnit, domain: str) -> bool:
    """Whether the client's claim on the domain counts."""
    return owner_of(unit, domain) == unit.tenant_id


def own(unit: TenantUnit, domain: str) -> int:
    """Makes the client the owner, unless another client is. Returns the owner's ID."""
    unit.change(_OWN, domain=domain, owner=unit.tenant_id)
    owner = owner_of(unit, domain, lock=True)
    assert owner is not None
    return owner


def disown(unit: TenantUnit, domain: str) -> None:
    """Ends the client's ownership."""
    unit.change(_DISOWN, domain=domain, owner=unit.tenant_id)


def find(unit: TenantUnit, domain: str, *, lock: bool = False) -> Claim | None:
    return unit.first(_LOCK if lock else _FIND, domain=domain)


def add(unit: TenantUnit, claim: Claim) -> bool:
    """Adds a claim. Returns False if the client already has it."""
    return unit.change(_ADD, **{k: v for k, v in claim._asdict().items() if k != "tenant_id"}) == 1


def put(unit: TenantUnit, claim: Claim) -> Claim:
    """Stores the changing members of a claim; only :func:`mark_checked` sets ``checked_at``."""
    values = claim._asdict()
    unit.change(_PUT, domain=claim.domain, **{f"new_{name}": values[name] for name in _CHANGED})
    return claim


def mark_contested(unit: TenantUnit, domain: str, contested: bool) -> None:
    unit.change(_CONTEST, domain=domain, is_contested=int(contested))


def mark_checked(unit: TenantUnit, domain: str, now: int, interval_ms: int) -> bool:
    """Records that the record is looked up now. Returns False if the last lookup was less than ``interval_ms`` ago."""
    return unit.change(_LOOKED, domain=domain, now=now, before=now - interval_ms) == 1


def remove(unit: TenantUnit, domain: str) -> bool:
    """Removes the claim."""
    return unit.change(_REMOVE, domain=domain) == 1


#: Everything that a client learns about another client's claim.
CLAIMED_ELSEWHERE: Final = _("Another client of this installation has this domain")


def claim(unit: TenantUnit, who: Acting, domain: str, random: Random) -> Claim:
    """Creates a claim, which does not count yet. Raises ValidationError, and Conflict if the client already has it."""
    step_up.check(who, Act.DOMAINS)
    dns_lookup.check(domain)
    if not _add(unit, who, domain, random):
        raise Conflict(_("This domain is already claimed"))
    return get(unit, domain)


def claim_all(unit: TenantUnit, who: Acting, domains: Sequence[str], random: Random) -> None:
    """Claims the domains that a provider lists and the client has not claimed yet. Raises ValidationError, Conflict."""
    with ErrorCollector() as each:
        for number, domain in enumerate(domains):
            if find(unit, domain) is None:
                with each:
                    dns_lookup.check(domain, f"domains[{number}]")
                    _add(unit, who, domain, random)


def get(unit: TenantUnit, domain: str, *, lock: bool = False) -> Claim:
    """Returns the claim. Raises NotFound."""
    return existing(find(unit, domain, lock=lock))


def vouch(unit: TenantUnit, who: Acting, domain: str, reason: str, random: Random, field: str = "domain") -> Claim:
    """Makes a claim count without DNS checks, because the operator vouches for it, and adds it if there is none. Raises
    ValidationError, and Conflict if another client's claim counts."""
    step_up.check(who, Act.DOMAINS)
    fields.CLAIM_REASON.check(reason, "reason")
    dns_lookup.check(domain, field)
    if owner_of(unit, domain, lock=True) not in (None, unit.tenant_id):
        raise Conflict(CLAIMED_ELSEWHERE, details=[(field, CLAIMED_ELSEWHERE)])
    if find(unit, domain) is None:
        _add(unit, who, domain, random)
    before = get(unit, domain, lock=True)
    if own(unit, domain) != unit.tenant_id:
        raise Conflict(CLAIMED_ELSEWHERE, details=[(field, CLAIMED_ELSEWHERE)])
    after = before._replace(
        state=PROVED,
        proof=VOUCHED,
        reason=reason,
        contested=0,
        proved_at=who.origin.at,
        failing_since=None,
        notices=0,
        next_check_at=None,
    )
    audit.record(
        unit, who, Event.DOMAIN_VOUCHED, f"domain:{domain}", reason=reason, before=[before.state, before.proof]
    )
    return put(unit, after)


def release(unit: SystemUnit, tenant_id: int, who: Acting, domain: str) -> None:
    """Removes a claim, with the ownership if it counted. Raises NotFound."""
    step_up.check(who, Act.DOMAINS)
    owner, own = owner_of(unit, domain, lock=True), unit.of(tenant_id)
    gone = get(own, domain, lock=True)
    disown(own, domain)
    remove(own, domain)
    if gone.contested and owner not in (None, tenant_id):
        mark_contested(unit.of(owner), domain, False)
    state = {"state": gone.state, "proof": gone.proof, "counted": owner == tenant_id}
    audit.record(own, who, Event.DOMAIN_RELEASED, f"domain:{domain}", **state)


def _add(unit: TenantUnit, who: Acting, domain: str, random: Random) -> bool:
    if unit.one(_COUNT) >= MOST:
        raise Conflict(_("A client can claim at most %(number)s domains", number=MOST))
    token = b32encode(random.bytes(20)).decode("ascii").lower()  # 160 random bits as 32 characters
    added = Claim(
        tenant_id=unit.tenant_id,
        domain=domain,
        token=token,
        state=PENDING,
        claimed_by=who.origin.actor,
        claimed_at=who.origin.at,
    )
    if not add(unit, added):
        return False
    audit.record(unit, who, Event.DOMAIN_CLAIMED, f"domain:{domain}")
    return True


_PAGE = 500


class ClaimOverview(NamedTuple):
    """A claim in the overview of all clients. ``kind``: ``domain`` or ``directory``; ``what``: the domain's name or the
    directory's ID; ``client``: the client's identifier."""

    kind: str
    what: str
    tenant_id: int
    client: str
    state: str
    proof: str | None
    contested: int
    claimed_by: str
    reason: str


def _all(kind: str, table: Table, what: Column[Any], contested: Any, *, open_only: bool) -> CrossTenant[ClaimOverview]:
    c = table.c
    query = (
        select(literal(kind), what, c.tenant_id, _T.identifier, c.state, c.proof, contested, c.claimed_by, c.reason)
        .join(tenants_table, _T.id == c.tenant_id)
        .where(
            tuple_(what, c.tenant_id)
            > tuple_(bindparam("after_what", type_=Text()), bindparam("after_tenant", type_=BigInteger()))
        )
        .order_by(what, c.tenant_id)
        .limit(_PAGE)
    )
    if open_only:
        query = query.where(or_(c.state == PENDING, contested == 1))
    return cross_tenant(
        query, ClaimOverview, because="the operator decides which claims on domains and directories are valid"
    )


def _both(*, open_only: bool) -> tuple[CrossTenant[ClaimOverview], ...]:
    domains, directories = domain_claims.c, directory_claims.c
    return (
        _all("domain", domain_claims, domains.domain, domains.contested, open_only=open_only),
        _all("directory", directory_claims, directories.directory, literal(0), open_only=open_only),
    )


_EVERY, _OPEN = _both(open_only=False), _both(open_only=True)


def list_all_claims(unit: SystemUnit, *, to_settle: bool = False) -> Iterator[ClaimOverview]:
    """Yields all claims, by kind, name and client. ``to_settle``: only unverified and contested ones."""
    for statement in _OPEN if to_settle else _EVERY:
        what, tenant_id = "", 0
        while page := unit.all(statement, after_what=what, after_tenant=tenant_id):
            yield from page
            what, tenant_id = page[-1].what, page[-1].tenant_id
            if len(page) < _PAGE:
                break


# An unpinned name means a client's provider only if the installation has one client, so the names that one client
# chooses do not affect other clients.

DYNAMICS = "ms-dynamics"  # the name that a start without a client or provider means
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?\Z")


class PinData(Wire, frozen=True):
    # A pinned name, and the identifier of its client.
    name: str
    client: str

    @property
    def id(self) -> str:
        """The sort key of lists."""
        return self.name


_N = provider_names.c
PINNED_NAMES = Listing(
    select(_N.name, _T.identifier).select_from(provider_names.join(tenants_table, _T.id == _N.tenant_id)),
    PinData,
    key=_N.name,
    sorts={"NAME": _N.name},
    filters={"search": _N.name.like(bindparam("like"), escape="\\")},
    owned=False,
)
_FIND_PIN = global_(select(_N.tenant_id).where(_N.name == bindparam("name")), int)
_PIN = global_(
    upsert(provider_names)
    .values(name=bindparam("name"), tenant_id=bindparam("client"))
    .on_conflict_do_update(index_elements=["name"], set_={"tenant_id": bindparam("client")})
)
_UNPIN = global_(delete(provider_names).where(_N.name == bindparam("of_name")))


def client_of_name(unit: SystemUnit, name: str) -> Tenant | None:
    """Returns the client that a provider name belongs to, or None."""
    found = unit.first(_FIND_PIN, name=name)
    return tenants.get(unit, found) if found is not None else tenants.find_only(unit)


def pin_name(unit: SystemUnit, who: Acting, name: str, tenant: Tenant) -> PinData:
    """Pins the name to the client. Raises ValidationError."""
    step_up.check(who, Act.PROVIDERS)
    if not _NAME.match(name):
        raise ValidationError(details=[("name", _("Providers can't have this name"))])
    before = unit.first(_FIND_PIN, name=name)
    unit.change(_PIN, name=name, client=tenant.id)
    _record_pin(unit, who, name, before, tenant.id)
    return PinData(name, tenant.identifier)


def unpin_name(unit: SystemUnit, who: Acting, name: str) -> None:
    """Unpins the name. Raises NotFound."""
    step_up.check(who, Act.PROVIDERS)
    before = unit.first(_FIND_PIN, name=name)
    if before is None or not unit.change(_UNPIN, of_name=name):
        raise NotFound()
    _record_pin(unit, who, name, before, None)


def _record_pin(unit: SystemUnit, who: Acting, name: str, before: int | None, after: int | None) -> None:
    change = {"before": before, "after": after}
    audit.record_installation(unit, who, Event.PROVIDER_NAME_PINNED, f"provider-name:{name}", **change)
