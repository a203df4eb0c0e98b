"""Users of a SCIM connection: their rows, their accounts, and the roles that the connection grants."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import BigInteger, Text, and_, bindparam, delete, func, select, update

from manifest_auth import audit, providers, tenants
from manifest_auth.accounts import accounts, credential_voiding, email_changes, one_time_links, users
from manifest_auth.accounts.mail_queue import reader
from manifest_auth.accounts.provisioning.connections import Connection
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.errors import Conflict, Forbidden, NoSeat, PayloadTooLarge, ValidationError, existing
from manifest_auth.permissions import Role, role_names
from manifest_auth.providers import LinkedBy, ProviderEmail
from manifest_auth.runtime.mail import emails
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import group_roles
from manifest_auth.store import TenantScoped, TenantUnit, among, numbers, tenant_condition, tenant_scoped, upsert
from manifest_auth.store.tables import scim_emails, scim_groups, scim_members, scim_users
from manifest_auth.store.tables import users as accounts_table
from manifest_auth.text import fields
from manifest_auth.text.canonical import check_email, clean_name, email_key

MOST = 100_000  # users of a connection
MOST_ATTRIBUTES = 32 * 1024  # bytes of a user's attributes
_LONGEST = 512  # characters of a userName, and of an externalId, which is a subject at the provider


class Address(NamedTuple):
    """An email address. ``type`` is lowercase; empty if there is none."""

    value: str
    type: str
    primary: bool


class Draft(NamedTuple):
    """A user as an identity provider describes them. ``active`` is None if it doesn't say; ``roles`` count like groups
    of these names; ``attributes`` is the JSON of everything else."""

    user_name: str
    external_id: str | None
    active: bool | None
    emails: tuple[Address, ...]
    first_name: str
    last_name: str
    title: str
    roles: tuple[str, ...]
    attributes: str


class ScimUser(NamedTuple):
    """A row. ``granted`` is the bit mask of the roles that the connection added. ``off_at`` is when the account was
    deactivated, and ``deactivated_at`` the same if the connection did it."""

    user_id: int
    connection_id: int
    user_name: str
    external_id: str | None
    attributes: str
    granted: int
    version: int
    created_at: int
    changed_at: int
    deactivated_at: int | None
    removed_at: int | None
    off_at: int | None


class GroupOfUser(NamedTuple):
    user_id: int
    group_id: int
    display_name: str
    external_id: str | None


_S, _E, _M, _G, _A = scim_users.c, scim_emails.c, scim_members.c, scim_groups.c, accounts_table.c
_WITH_ACCOUNT = scim_users.join(accounts_table, and_(_A.tenant_id == _S.tenant_id, _A.id == _S.user_id))
_ALL = select(*(_S[name] for name in ScimUser._fields[:-1]), _A.deactivated_at.label("off_at")).select_from(
    _WITH_ACCOUNT
)
_IS_LIVE = and_(_S.connection_id == bindparam("of_connection"), _S.removed_at.is_(None))
_OF_USER = _S.user_id == bindparam("of_user", type_=BigInteger())
_GET = tenant_scoped(_ALL.where(_IS_LIVE, _OF_USER), ScimUser)
_ROLES = tenant_scoped(select(_S.user_id, _S.granted, _S.attributes).where(_IS_LIVE, among(_S.user_id, "ids")))
_ANY = tenant_scoped(_ALL.where(_OF_USER), ScimUser)
_BY_NAME = tenant_scoped(select(_S.user_id).where(_IS_LIVE, _S.user_name_key == bindparam("key")), int)
_KEPT = ("connection_id", "user_name", "user_name_key", "external_id", "attributes", "granted", "version")
_VALUES = ("user_id", *_KEPT, "created_at", "changed_at", "deactivated_at", "removed_at")
_NEW: dict[str, Any] = {name: bindparam(name) for name in _VALUES}
_PUT = tenant_scoped(
    upsert(scim_users)
    .values(_NEW)
    .on_conflict_do_update(index_elements=["tenant_id", "user_id"], set_={name: _NEW[name] for name in _VALUES[1:]})
)
_SET_GRANTED = tenant_scoped(
    update(scim_users).where(among(_S.user_id, "ids")).values(granted=bindparam("new_granted"))
)
_FORGET_EMAILS = tenant_scoped(delete(scim_emails).where(_E.user_id == bindparam("of_user")))
_ADD_EMAIL = tenant_scoped(
    upsert(scim_emails)
    .values({name: bindparam(name) for name in ("user_id", "email_key", "type")})
    .on_conflict_do_nothing(index_elements=["tenant_id", "user_id", "email_key", "type"])
)
_CHANGED_GROUPS = tenant_scoped(update(scim_groups).where(among(_G.id, "ids")).values(version=_G.version + 1))
_LEAVE_GROUPS = tenant_scoped(delete(scim_members).where(_M.user_id == bindparam("of_user")))


def _has_email(*more: Any) -> Any:
    is_of = _E.email_key == bindparam("email", type_=Text())
    return _S.user_id.in_(select(_E.user_id).where(is_of, tenant_condition(scim_emails), *more))


#: Conditions of a search, by the names of their parameters.
CONDITIONS = {
    "user_name": _S.user_name_key == bindparam("user_name", type_=Text()),
    "external_id": _S.external_id == bindparam("external_id", type_=Text()),
    "id": _S.user_id == bindparam("id", type_=BigInteger()),
    "active": _A.deactivated_at.is_(None),
    "inactive": _A.deactivated_at.is_not(None),
    "email": _has_email(),
    "email_type": _has_email(_E.type == bindparam("email_type", type_=Text())),
}


@cache
def _statements(names: frozenset[str]) -> tuple[TenantScoped[ScimUser], TenantScoped[int]]:
    """The statements of a search: a page, and the number of rows."""
    where = (_IS_LIVE, *(CONDITIONS[name] for name in sorted(names)))
    # Not in the order of an index with conditions: databases would rather walk that one than look up the rows.
    order = _S.user_id + 0 if names else _S.user_id
    page = _ALL.where(*where).order_by(order).limit(bindparam("limit")).offset(bindparam("offset"))
    of = _WITH_ACCOUNT if names & {"active", "inactive"} else scim_users
    return tenant_scoped(page, ScimUser), tenant_scoped(select(func.count()).select_from(of).where(*where), int)


def count(unit: TenantUnit, connection: Connection, names: frozenset[str] = frozenset(), **values: Any) -> int:
    """The number of users that meet these :data:`CONDITIONS`."""
    return unit.one(_statements(names)[1], of_connection=connection.id, **values)


def page(
    unit: TenantUnit, connection: Connection, names: frozenset[str], offset: int, limit: int, **values: Any
) -> list[ScimUser]:
    """Users that meet these :data:`CONDITIONS`, in order of their IDs."""
    return unit.all(_statements(names)[0], of_connection=connection.id, offset=offset, limit=limit, **values)


def get(unit: TenantUnit, connection: Connection, user_id: int, *, lock: bool = False) -> ScimUser:
    """Returns a user of the connection. ``lock`` locks the account until the transaction ends. Raises NotFound."""
    found = existing(unit.first(_GET, of_connection=connection.id, of_user=user_id))
    if not lock:
        return found
    account = _locked(unit, connection, user_id)  # the row follows the account's lock, in every transaction
    current = existing(unit.first(_GET, of_connection=connection.id, of_user=user_id))
    return current._replace(off_at=account.deactivated_at)


def address_of(draft: Draft) -> str:
    """Returns the address of the account: the primary one, else one for work, else the first, else the userName. Raises
    ValidationError."""
    ranked = sorted(draft.emails, key=lambda one: (not one.primary, one.type != "work"))
    if ranked:
        return check_email(ranked[0].value, "emails")
    try:
        return check_email(draft.user_name, "emails")
    except ValidationError:
        raise ValidationError(details=[("emails", "An email address is required, here or as userName")]) from None


def create(unit: TenantUnit, ctx: RequestContext, connection: Connection, draft: Draft, address: str) -> int:
    """Creates a user, adopts the account with this address, or brings back a removed user. Returns the user's ID.
    Raises ValidationError, Forbidden, NoSeat, PayloadTooLarge, or Conflict if the userName or the address is taken."""
    _check(unit, connection, draft)
    found = users.find_by_email(unit, address)
    if found is None:
        if count(unit, connection) >= MOST:
            raise PayloadTooLarge(f"A connection can have at most {MOST} users")
        user, before = _make(unit, ctx, connection, draft, address), None
        granted = user.roles
    else:
        user = _locked(unit, connection, found.id)
        before = unit.first(_ANY, of_user=user.id)
        is_back = before is not None and before.connection_id == connection.id
        if before is not None and before.removed_at is None:
            raise Conflict(f"{'This' if is_back else 'Another'} connection already manages the user with this address")
        if not is_back and not connection.adopt_users:
            raise Conflict("A user with this email address exists, and the connection doesn't adopt users")
        check_rank(connection, user)
        if not is_back:
            if user.is_admin and connection.provider_id is None and users.is_last_admin(unit, user):
                raise Forbidden(users.LAST_ADMIN)
            user = group_roles.reset_for_new_person(unit, ctx, user.id, connection=connection.id)
            audit.record(unit, ctx, Event.SCIM_USER_ADOPTED, f"user:{user.id}", connection=connection.name)
            before = None
        granted = 0
    _apply(unit, ctx, connection, user, before, draft._replace(active=draft.active is not False), address, granted)
    return user.id


def change(
    unit: TenantUnit, ctx: RequestContext, connection: Connection, user_id: int, draft: Draft, address: str
) -> None:
    """Changes a user, who must be locked. Raises the errors of :func:`create`."""
    user, before = users.get(unit, user_id), get(unit, connection, user_id)
    check_rank(connection, user)
    _check(unit, connection, draft, but=user_id)
    _apply(unit, ctx, connection, user, before, draft, address, before.granted)


def remove(unit: TenantUnit, ctx: RequestContext, connection: Connection, user_id: int) -> None:
    """Deactivates a user, who must be locked, removes the roles that the connection granted, and forgets the rest.
    Raises Forbidden."""
    user, before = users.get(unit, user_id), get(unit, connection, user_id)
    check_rank(connection, user)
    user, off_at = _set_active(unit, ctx, user, before.deactivated_at, wanted=False)
    own = before.granted & ~providers.granted_to(unit, user.id, provisioned=False)
    group_roles.take_back(unit, ctx, user, own)
    unit.change(_CHANGED_GROUPS, ids=numbers(one.group_id for one in groups_of(unit, connection, [user.id])))
    unit.change(_LEAVE_GROUPS, of_user=user.id)
    unit.change(_FORGET_EMAILS, of_user=user.id)
    gone = before._replace(external_id=None, attributes="{}", granted=0, deactivated_at=off_at, removed_at=ctx.now)
    _put(unit, gone._replace(version=before.version + 1, changed_at=ctx.now), None)
    audit.record(unit, ctx, Event.SCIM_USER_REMOVED, f"user:{user.id}", connection=connection.name)


def check_rank(connection: Connection, user: User) -> None:
    """Raises Forbidden for an Admin's account, unless the connection manages Admins."""
    if user.roles & Role.ADMIN.bit and not connection.may_manage_admins:
        raise Forbidden("This connection doesn't manage Admins")


def _locked(unit: TenantUnit, connection: Connection, user_id: int) -> User:
    return users.get(unit, user_id, lock=True, admins=bool(connection.may_manage_admins))


def _check(unit: TenantUnit, connection: Connection, draft: Draft, but: int = 0) -> None:
    for name, text in (("userName", draft.user_name), ("externalId", draft.external_id or "-")):
        if not 0 < len(text.strip()) <= len(text) <= _LONGEST:
            raise ValidationError(details=[(name, f"Must have 1 to {_LONGEST} characters")])
    if len(draft.attributes.encode()) > MOST_ATTRIBUTES:
        raise PayloadTooLarge(f"The attributes of a user can take at most {MOST_ATTRIBUTES} bytes")
    key = email_key(draft.user_name)
    if unit.first(_BY_NAME, of_connection=connection.id, key=key) not in (None, but):
        raise Conflict("A user with this userName exists")


def _make(unit: TenantUnit, ctx: RequestContext, connection: Connection, draft: Draft, address: str) -> User:
    """Creates the account, with the roles that count immediately; a user who starts deactivated takes no seat."""
    roles = 0 if draft.active is False else roles_of(connection, (), draft.roles)
    user = users.create(
        unit,
        ctx.services.licence,
        email=address,
        roles=roles,
        password_hash=None,
        now=ctx.now,
        **_profile(draft),
    )
    detail = {"email": user.email, "roles": role_names(roles), "connection": connection.name}
    audit.record(unit, ctx, Event.USER_CREATED, f"user:{user.id}", **detail)
    return user


def _apply(
    unit: TenantUnit,
    ctx: RequestContext,
    connection: Connection,
    user: User,
    before: ScimUser | None,
    draft: Draft,
    address: str,
    granted: int,
) -> None:
    """Makes the account what the draft says. ``granted``: the roles that the connection had granted."""
    user = _set_profile(unit, ctx, user, draft, address)
    user, off_at = _set_active(unit, ctx, user, None if before is None else before.deactivated_at, wanted=draft.active)
    _set_link(unit, ctx, connection, user, None if before is None else before.external_id, draft.external_id)
    granted = _grant(unit, ctx, connection, [_Given(user, granted, draft.roles)]).get(user.id, granted)
    row = ScimUser(
        user_id=user.id,
        connection_id=connection.id,
        user_name=draft.user_name,
        external_id=draft.external_id,
        attributes=draft.attributes,
        granted=granted,
        version=1 if before is None else before.version + 1,
        created_at=ctx.now if before is None or before.removed_at is not None else before.created_at,
        changed_at=ctx.now,
        deactivated_at=off_at,
        removed_at=None,
        off_at=None,
    )
    _put(unit, row, email_key(draft.user_name))
    unit.change(_FORGET_EMAILS, of_user=user.id)
    for one in draft.emails:
        unit.change(_ADD_EMAIL, user_id=user.id, email_key=email_key(one.value), type=one.type)


def _put(unit: TenantUnit, row: ScimUser, key: str | None) -> None:
    values = row._asdict()
    del values["off_at"]
    unit.change(_PUT, **values, user_name_key=key)


def _profile(draft: Draft) -> dict[str, str]:
    return {
        "first_name": clean_name(draft.first_name, fields.FIRST_NAME.most),
        "last_name": clean_name(draft.last_name, fields.LAST_NAME.most),
        "title": clean_name(draft.title, fields.TITLE.most),
    }


def _set_profile(unit: TenantUnit, ctx: RequestContext, user: User, draft: Draft, address: str) -> User:
    """Changes names, title, and address. A new address takes effect immediately, and the old one gets an email."""
    subject, given = f"user:{user.id}", _profile(draft)
    changed = audit.difference(user._asdict(), given)
    if changed["after"]:
        user = users.change(unit, user, ctx.now, **given)
        audit.record(unit, ctx, Event.USER_CHANGED, subject, **changed)
    if address == user.email:
        return user
    after, now = users.change(unit, user, ctx.now, email=address), ctx.now
    one_time_links.close(unit, user.id, now)
    email_changes.close_all(unit, user.id, now)
    email_changes.add_done(unit, user, address, ctx.services.random.text(24), ctx.caller.actor, now)
    detail = {"before": {"email": user.email}, "after": {"email": address}, "started_by": ctx.caller.actor}
    audit.record(unit, ctx, Event.EMAIL_CHANGED, subject, **detail)
    if ctx.services.mail_queue.is_set_up:
        told = emails.email_changed(reader(user, tenants.get(unit, unit.tenant_id)), None)
        ctx.services.mail_queue.add(unit, ctx, told, "email_changed", subject)
    return after


def _set_active(
    unit: TenantUnit, ctx: RequestContext, user: User, own_off_at: int | None, *, wanted: bool | None
) -> tuple[User, int | None]:
    """Deactivates or restores the account; None changes nothing. ``own_off_at`` is when the connection deactivated it.
    Returns that for the row. Raises Forbidden for the last active Admin, and for a user whom a person deactivated."""
    if wanted is None or wanted is (user.deactivated_at is None):
        return user, own_off_at
    if not wanted:
        try:
            user = accounts.end_access(unit, ctx, user)
        except Conflict as error:
            raise Forbidden(error.message) from error
        return user, user.deactivated_at
    if user.deactivated_at != own_off_at:
        raise Forbidden("An administrator deactivated this user, so only an administrator can restore them")
    gain = credential_voiding.AdminGain(ctx, "scim", ctx.caller.actor)
    return accounts.restore_access(unit, ctx, user, gain), None


def _set_link(
    unit: TenantUnit, ctx: RequestContext, connection: Connection, user: User, before: str | None, after: str | None
) -> None:
    """Links the user to the subject at the connection's provider, in place of the previous one. Raises Conflict if it
    belongs to another user."""
    provider_id = connection.provider_id
    if before == after or provider_id is None or providers.find_by_id(unit, provider_id) is None:
        return
    old = None if before is None else providers.find_identity(unit, provider_id, before)
    if old is not None and old.user_id == user.id:
        group_roles.unlink(unit, ctx, user.id, old.id)
        detail = {"provider": provider_id, "identity": old.id}
        audit.record(unit, ctx, Event.IDENTITY_UNLINKED, f"user:{user.id}", **detail)
    known = None if after is None else providers.find_identity(unit, provider_id, after)
    if known is not None and known.user_id != user.id:
        raise Conflict("This externalId is linked to another user")
    if after is not None and known is None:
        by, address = LinkedBy.SCIM, ProviderEmail(user.email, False)
        providers.link(unit, provider_id, after, user.id, by, address, 0, ctx.now)
        linked = {"provider": provider_id, "how": by.value, "of": after}
        audit.record(unit, ctx, Event.IDENTITY_LINKED, f"user:{user.id}", **linked)


# Roles: the default roles, and those of the lines whose group has the user, or is among the user's own `roles`. The
# connection remembers what it added, so that leaving a group removes these roles and no others.

_GROUPS = tenant_scoped(
    select(_M.user_id, _M.group_id, _G.display_name, _G.external_id)
    .select_from(scim_members.join(scim_groups, and_(_G.tenant_id == _M.tenant_id, _G.id == _M.group_id)))
    .where(among(_M.user_id, "ids"), _G.connection_id == bindparam("of_connection"))
    .order_by(_M.user_id, _M.group_id),
    GroupOfUser,
)


def groups_of(unit: TenantUnit, connection: Connection, user_ids: Iterable[int]) -> list[GroupOfUser]:
    """The groups of these users."""
    return unit.all(_GROUPS, of_connection=connection.id, ids=numbers(user_ids))


def roles_of(connection: Connection, groups: Iterable[GroupOfUser], names: Iterable[str]) -> int:
    """The bit mask of the roles that a user of these groups gets."""
    groups = list(groups)
    keys = {email_key(name) for name in (*names, *(one.display_name for one in groups))}
    ids, mask = {one.external_id for one in groups}, connection.default_roles
    for group, external_id, roles in connection.lines:
        if (group and email_key(group) in keys) or (external_id and external_id in ids):
            mask |= roles
    return mask if connection.may_manage_admins else mask & ~Role.ADMIN.bit


class _Given(NamedTuple):
    """A locked user, the roles that the connection had granted, and the names that count like groups."""

    user: User
    granted: int
    names: Collection[str]


def _grant(unit: TenantUnit, ctx: RequestContext, connection: Connection, given: Sequence[_Given]) -> dict[int, int]:
    """Adds and removes roles. Returns those that the connection has granted now, by user. Raises NoSeat, or Forbidden
    for the last active Admin."""
    if not connection.may_manage_admins:
        given = [one for one in given if not one.user.roles & Role.ADMIN.bit]
    ids = [one.user.id for one in given]
    groups: dict[int, list[GroupOfUser]] = {}
    for group in groups_of(unit, connection, ids):
        groups.setdefault(group.user_id, []).append(group)
    known: dict[tuple[tuple[int, ...], tuple[str, ...]], int] = {}  # users of the same groups have the same roles
    mapped: dict[int, int] = {}
    for one in given:
        own = groups.get(one.user.id, [])
        key = tuple(group.group_id for group in own), tuple(one.names)
        if key not in known:
            known[key] = roles_of(connection, own, one.names)
        mapped[one.user.id] = known[key]
    shared = [
        user.id for user, granted, _ in given if granted & ~mapped[user.id] or mapped[user.id] & user.roles & ~granted
    ]
    others = providers.granted_to_many(unit, shared) if shared else {}
    after: dict[int, int] = {}
    changes: list[tuple[User, int]] = []
    for user, granted, _ in given:
        new, of_others = mapped[user.id], others.get(user.id, 0)
        roles = user.roles & ~(granted & ~new & ~of_others) | new
        if roles != user.roles:
            changes.append((user, roles))
        after[user.id] = new & (granted | ~user.roles | of_others)
    if not changes:
        return after
    gain = credential_voiding.AdminGain(ctx, "scim", ctx.caller.actor)
    try:
        users.set_roles_of_many(unit, ctx.services.licence, changes, gain, ctx.now)
    except NoSeat:
        raise
    except Conflict as error:  # the last active Admin, or an Admin's address that is in doubt
        raise Forbidden(error.message) from error
    told = [
        (
            f"user:{user.id}",
            {"before": role_names(user.roles), "after": role_names(roles), "connection": connection.name},
        )
        for user, roles in changes
    ]
    audit.record_all(unit, ctx, Event.USER_ROLES_CHANGED, told)
    return after


def regrant(unit: TenantUnit, ctx: RequestContext, connection: Connection, user_ids: Iterable[int]) -> None:
    """Adds and removes roles of users whose groups, or whose groups' roles, have changed. Raises the errors of
    :func:`_grant`."""
    ids = set(user_ids)
    if not ids:
        return
    locked = users.lock_many(unit, ids, admins=bool(connection.may_manage_admins))
    found = unit.all(_ROLES, of_connection=connection.id, ids=numbers(ids))
    rows = {user_id: (granted, attributes) for user_id, granted, attributes in found}
    given = []
    for user in locked:
        granted, attributes = existing(rows.get(user.id))
        names = [one.get("value") or "" for one in orjson.loads(attributes).get("roles") or ()]
        given.append(_Given(user, granted, names))
    changed: dict[int, list[int]] = {}
    for user_id, granted in _grant(unit, ctx, connection, given).items():
        if granted != rows[user_id][0]:
            changed.setdefault(granted, []).append(user_id)
    for granted, alike in changed.items():
        unit.change(_SET_GRANTED, ids=numbers(alike), new_granted=granted)
