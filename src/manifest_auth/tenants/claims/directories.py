"""Claims on Microsoft directories: which clients claim one, and for which of them the claim counts.

A directory has one owner: the client that verified it first, or for which a system admin vouched first; the database
enforces that. A system admin can grant it to further clients. Every change is announced, and recorded in the client's
audit trail.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy import func as sql

from manifest_auth import audit, tenants
from manifest_auth.audit import Act, Event
from manifest_auth.context import Acting
from manifest_auth.errors import Conflict, Marked, NotFound, Reason, SsoFailed, ValidationError, existing
from manifest_auth.protocols.microsoft import CONSUMERS, GUID
from manifest_auth.store import Listing, SystemUnit, TenantUnit, global_, tenant_scoped, upsert
from manifest_auth.store.tables import directory_claims, directory_owners
from manifest_auth.tenants import step_up
from manifest_auth.text import fields
from manifest_auth.text.languages import marked as _

MOST = 100
PENDING, PROVED = "pending", "proved"
SIGN_IN, VOUCHED, GRANTED = "sign-in", "vouched", "granted"
CLAIMED_ELSEWHERE = _("Another client of this installation has this directory")


class Claim(NamedTuple):
    """A claim. ``proof`` is how it was verified; ``proved_by`` is the ``oid`` of the directory's administrator who
    signed in."""

    directory: str
    cloud: str
    state: str
    proof: str | None
    claimed_by: str
    reason: str
    proved_by: str
    claimed_at: int
    proved_at: int | None

    @property
    def counts(self) -> bool:
        return self.state == PROVED

    @property
    def id(self) -> str:
        """The sort key of lists."""
        return self.directory


_C, _O = directory_claims.c, directory_owners.c
_ALL = select(*(_C[name] for name in Claim._fields))
_FIND = tenant_scoped(_ALL.where(_C.directory == bindparam("directory")), Claim)
_LOCKED = tenant_scoped(_ALL.where(_C.directory == bindparam("directory")).with_for_update(), Claim)
LISTING = Listing(
    _ALL,
    Claim,
    key=_C.directory,
    sorts={"DIRECTORY": _C.directory, "CLAIMED": _C.claimed_at},
    filters={"search": _C.directory.like(bindparam("like"), escape="\\"), "state": _C.state == bindparam("of_state")},
)
_COUNT = tenant_scoped(select(sql.count()).select_from(directory_claims), int)
#: The state of a claim that does not count.
_OPEN: dict[str, Any] = {"state": PENDING, "proof": None, "reason": "", "proved_by": "", "proved_at": None}
_ADD = tenant_scoped(
    upsert(directory_claims)
    .values({name: bindparam(name) for name in ("directory", "cloud", "claimed_by", "claimed_at")})
    .values(_OPEN)
    .on_conflict_do_nothing(index_elements=["tenant_id", "directory"])
)
_SET = tenant_scoped(
    update(directory_claims)
    .where(_C.directory == bindparam("of_directory"))
    .values({name: bindparam("new_" + name) for name in _OPEN})
)
_DELETE = tenant_scoped(delete(directory_claims).where(_C.directory == bindparam("of_directory")))
_OWNER = global_(select(_O.tenant_id).where(_O.directory == bindparam("directory")), int)
_OWN = global_(  # if two clients verify it at the same time, the second waits and does not become the owner
    upsert(directory_owners)
    .values(directory=bindparam("directory"), tenant_id=bindparam("owner"))
    .on_conflict_do_nothing(index_elements=["directory"])
)


def find(unit: TenantUnit, directory: str) -> Claim | None:
    return unit.first(_FIND, directory=directory)


def get(unit: TenantUnit, directory: str, *, lock: bool = False) -> Claim:
    """Returns the client's claim. ``lock``: lock the row until the transaction ends. Raises NotFound."""
    return existing(unit.first(_LOCKED if lock else _FIND, directory=directory))


def owner(unit: SystemUnit | TenantUnit, directory: str) -> int | None:
    """Returns the client whose own claim counts."""
    return unit.first(_OWNER, directory=directory)


def check(directory: str, field: str = "directory") -> str:
    """Returns the directory's ID in its stored form. Raises ValidationError."""
    found = directory.lower()
    if not GUID.match(found):
        raise ValidationError(details=[(field, _("Must be a GUID, the directory (tenant) ID"))])
    if found == CONSUMERS:
        raise ValidationError(
            details=[(field, _("The directory of personal accounts doesn't belong to an organization"))]
        )
    return found


def claim(unit: TenantUnit, who: Acting, directory: str, cloud: str) -> bool:
    """Adds a claim, which does not count yet. Returns False if the client already has it. Raises ValidationError,
    Conflict if the client has :data:`MOST` claims."""
    directory, origin = check(directory), who.origin
    if find(unit, directory) is not None:
        return False
    tenants.get(unit, unit.tenant_id, lock=True)  # serializes the client's claims, since they are counted
    if unit.one(_COUNT) >= MOST:
        raise Conflict(_("A client can claim at most %(number)s directories", number=MOST))
    if not unit.change(_ADD, directory=directory, cloud=cloud, claimed_by=origin.actor, claimed_at=origin.at):
        return False
    audit.record(unit, who, Event.DIRECTORY_CLAIMED, _subject(directory), cloud=cloud)
    return True


def prove(unit: TenantUnit, who: Acting, directory: str, *, person: str, role: str) -> Claim:
    """Marks a claim as verified by a sign-in of the directory's administrator. Raises NotFound, Conflict."""
    get(unit, directory, lock=True)
    _own(unit, directory)
    _set(unit, directory, state=PROVED, proof=SIGN_IN, proved_by=person, proved_at=who.origin.at)
    audit.record(unit, who, Event.DIRECTORY_PROVED, _subject(directory), tid=directory, oid=person, role=role)
    return get(unit, directory)


def vouch(unit: TenantUnit, who: Acting, directory: str, reason: str, cloud: str = "") -> Claim:
    """Marks the claim as vouched for by a system admin, and adds it if there is none. Raises ValidationError,
    Conflict."""
    step_up.check(who, Act.DOMAINS)
    fields.CLAIM_REASON.check(reason, "reason")
    directory = check(directory)
    claim(unit, who, directory, cloud)
    get(unit, directory, lock=True)
    _own(unit, directory)
    _set(unit, directory, state=PROVED, proof=VOUCHED, reason=reason, proved_at=who.origin.at)
    audit.record(unit, who, Event.DIRECTORY_VOUCHED, _subject(directory), reason=reason)
    return get(unit, directory)


def grant(unit: TenantUnit, who: Acting, directory: str, reason: str, cloud: str = "") -> Claim:
    """Grants a directory that another client owns to this client as well, for a system admin. Raises ValidationError,
    Conflict."""
    step_up.check(who, Act.DOMAINS)
    fields.CLAIM_REASON.check(reason, "reason")
    directory = check(directory)
    owner_id = owner(unit, directory)
    if owner_id is None:
        raise Conflict(_("No client has this directory yet. Approve the first claim instead"))
    if owner_id == unit.tenant_id:
        raise Conflict(_("The client already has this directory"))
    claim(unit, who, directory, cloud)
    get(unit, directory, lock=True)
    _set(unit, directory, state=PROVED, proof=GRANTED, reason=reason, proved_at=who.origin.at)
    audit.record(unit, who, Event.DIRECTORY_GRANTED, _subject(directory), reason=reason)
    return get(unit, directory)


def revoke(unit: TenantUnit, who: Acting, directory: str) -> None:
    """Revokes a grant. The claim stays, but no longer counts. Raises NotFound if there is no grant."""
    step_up.check(who, Act.DOMAINS)
    if get(unit, directory, lock=True).proof != GRANTED:
        raise NotFound()
    _set(unit, directory)
    audit.record(unit, who, Event.DIRECTORY_REVOKED, _subject(directory))


def release(unit: TenantUnit, who: Acting, directory: str) -> None:
    """Removes the claim, so that another client can verify the directory. Raises NotFound."""
    step_up.check(who, Act.DOMAINS)
    found = get(unit, directory, lock=True)
    unit.change(_DELETE, of_directory=directory)
    unit.announce("tenant", unit.tenant_id)
    audit.record(unit, who, Event.DIRECTORY_RELEASED, _subject(directory), state=found.state, proof=found.proof)


def _own(unit: TenantUnit, directory: str) -> None:
    """Makes the client the owner. Raises Conflict if another client is the owner."""
    if not unit.change(_OWN, directory=directory, owner=unit.tenant_id) and owner(unit, directory) != unit.tenant_id:
        raise Conflict(CLAIMED_ELSEWHERE)


def _set(unit: TenantUnit, directory: str, **state: Any) -> None:
    """Stores the state of a claim. Omitted members get the values of a claim that does not count."""
    unit.change(_SET, of_directory=directory, **{f"new_{name}": value for name, value in {**_OPEN, **state}.items()})
    unit.announce("tenant", unit.tenant_id)  # verdicts on bearer tokens depend on which claims count


def _subject(directory: str) -> str:
    return f"directory:{directory}"


#: Role template IDs, the same in every directory. No claims mapping policy at Microsoft can write the claim ``wids``.
ROLES = {
    "62e90394-69f5-4237-9190-012177145e10": "Global Administrator",
    "e8611ab8-c189-46e8-94e1-60213ab1f814": "Privileged Role Administrator",
    "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3": "Application Administrator",
}
# In English, because only programs get these.
_WIDS = Reason(
    "wids: …",
    cause="The user who signed in isn't allowed to confirm the directory, or Microsoft didn't send their roles",
    cure="See [Verify a directory](../domains.md#verify-a-directory)",
)
OTHER_DIRECTORY = Marked("You signed in to a different directory than the one you want to verify")
ROLES_MISSING = Marked(
    "Microsoft didn't send your roles. Set groupMembershipClaims to DirectoryRole or All in the application's manifest"
)
NO_ROLE = Marked(
    f"The administrator must be a {', a '.join(list(ROLES.values())[:2])}, or an Application Administrator"
)


def role_of(claims: Iterable[Any]) -> str:
    """Returns the name of a role that can verify the directory. ``claims``: ``wids`` of each token of the sign-in, or
    None. Raises SsoFailed, with the remedy."""
    lists = [wids for wids in claims if isinstance(wids, list)]
    if not lists:
        raise SsoFailed(ROLES_MISSING, reason=_WIDS.with_("missing"))
    own = {wid.lower() for wids in lists for wid in wids if isinstance(wid, str)}
    for wid, name in ROLES.items():
        if wid in own:
            return name
    raise SsoFailed(NO_ROLE, reason=_WIDS.with_("none of the three roles"))
