"""Rows of ``domain_claims`` and ``domain_owners``.

A claim counts exactly while ``domain_owners`` has it. The key there is the domain, so two clients cannot own one.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import BigInteger, bindparam, delete, func, or_, select, update

from manifest_auth.store import Listing, SystemUnit, TenantUnit, global_, tenant_scoped, upsert
from manifest_auth.store.tables import domain_claims, domain_owners

PENDING, PROVED, FAILING, LAPSED = "pending", "proved", "failing", "lapsed"
DNS, VOUCHED = "dns", "vouched"
MOST: Final = 100  # claims of a client
LAPSES_MS: Final = 14 * 86_400_000


class Claim(NamedTuple):
    tenant_id: int
    domain: str
    token: str
    state: str
    proof: str | None
    contested: int
    claimed_by: str
    reason: str
    claimed_at: int
    proved_at: int | None
    checked_at: int | None
    failing_since: int | None
    notices: int
    next_check_at: int | None

    @property
    def counts(self) -> bool:
        """Whether the claim counts, as in ``domain_owners``."""
        return self.state in (PROVED, FAILING)

    @property
    def lapses_at(self) -> int | None:
        """When the claim stops to count, unless its record is seen before."""
        return self.failing_since + LAPSES_MS if self.state == FAILING and self.failing_since is not None else None

    @property
    def id(self) -> str:
        """The key that lists are ordered by."""
        return self.domain


_C, _O = domain_claims.c, domain_owners.c
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
_CHANGED = (
    "state", "proof", "contested", "reason", "proved_at", "failing_since", "notices", "next_check_at",
)  # fmt: skip
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
    filters={
        "search": _C.domain.like(bindparam("like"), escape="\\"),
        "state": _C.state == bindparam("in_state"),
    },
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
    """The client whose claim on the domain counts. ``lock``: locks the row until the transaction ends, always before
    any claim on the domain."""
    return unit.first(_LOCK_OWNER if lock else _OWNER, domain=domain)


def domain_counts(unit: TenantUnit, domain: str) -> bool:
    """Whether the client's claim on the domain counts."""
    return owner_of(unit, domain) == unit.tenant_id


def own(unit: TenantUnit, domain: str) -> int:
    """Makes the client the owner, unless another is; the id of the owner."""
    unit.change(_OWN, domain=domain, owner=unit.tenant_id)
    owner = owner_of(unit, domain, lock=True)
    assert owner is not None
    return owner


def disown(unit: TenantUnit, domain: str) -> None:
    """Ends the client's ownership."""
    unit.change(_DISOWN, domain=domain, owner=unit.tenant_id)


def find(unit: TenantUnit, domain: str, *, lock: bool = False) -> Claim | None:
    return unit.first(_LOCK if lock else _FIND, domain=domain)


def count(unit: TenantUnit) -> int:
    return unit.one(_COUNT)


def add(unit: TenantUnit, claim: Claim) -> bool:
    """Adds a claim. False when the client has it already."""
    return unit.change(_ADD, **{k: v for k, v in claim._asdict().items() if k != "tenant_id"}) == 1


def put(unit: TenantUnit, claim: Claim) -> Claim:
    """Stores the changing members of a claim; only :func:`mark_checked` sets ``checked_at``."""
    values = claim._asdict()
    unit.change(_PUT, domain=claim.domain, **{f"new_{name}": values[name] for name in _CHANGED})
    return claim


def mark_contested(unit: TenantUnit, domain: str, contested: bool) -> None:
    unit.change(_CONTEST, domain=domain, is_contested=int(contested))


def mark_checked(unit: TenantUnit, domain: str, now: int, interval_ms: int) -> bool:
    """Records that the record is looked up now; False when the last look-up was less than ``interval_ms`` ago."""
    return unit.change(_LOOKED, domain=domain, now=now, before=now - interval_ms) == 1


def remove(unit: TenantUnit, domain: str) -> bool:
    """Removes the claim."""
    return unit.change(_REMOVE, domain=domain) == 1
