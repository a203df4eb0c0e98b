"""Groups of a SCIM connection, and their members."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Text, and_, bindparam, delete, func, insert, select, update

from manifest_auth import audit
from manifest_auth.accounts.provisioning.connections import Connection
from manifest_auth.audit import Event
from manifest_auth.clients.scim import users
from manifest_auth.errors import PayloadTooLarge, ValidationError, existing
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantScoped, TenantUnit, among, numbers, tenant_condition, tenant_scoped
from manifest_auth.store.tables import scim_groups, scim_members, scim_users
from manifest_auth.text.canonical import email_key

MOST, MOST_MEMBERS = 5_000, 50_000  # groups of a connection, members of a group
MOST_REGRANTED = 10_000  # users whose roles one request can change, within the store's time limit
_LONGEST = 512


class ScimGroup(NamedTuple):
    """A row."""

    id: int
    display_name: str
    external_id: str | None
    version: int
    created_at: int
    changed_at: int


_G, _M, _S = scim_groups.c, scim_members.c, scim_users.c
_ALL = select(*(_G[name] for name in ScimGroup._fields))
_IS_OF = _G.connection_id == bindparam("of_connection")
_ID = _G.id == bindparam("of_id", type_=BigInteger())
_GET = tenant_scoped(_ALL.where(_IS_OF, _ID), ScimGroup)
_LOCKED = tenant_scoped(_ALL.where(_IS_OF, _ID).with_for_update(), ScimGroup)
_NEW = ("connection_id", "display_name", "display_name_key", "external_id", "created_at", "changed_at")
_ADD = tenant_scoped(insert(scim_groups).values({name: bindparam(name) for name in _NEW}).returning(_G.id), int)
_CHANGED = ("display_name", "display_name_key", "external_id", "changed_at")
_CHANGE = tenant_scoped(
    update(scim_groups)
    .where(_ID)
    .values({"version": _G.version + 1, **{name: bindparam(f"new_{name}") for name in _CHANGED}})
)
_DELETE = tenant_scoped(delete(scim_groups).where(_ID))
_OF = _M.group_id == bindparam("of_id", type_=BigInteger())
_MEMBERS = tenant_scoped(select(_M.user_id).where(_OF).order_by(_M.user_id), int)
_SOME = tenant_scoped(select(_M.user_id).where(_OF, among(_M.user_id, "ids")).order_by(_M.user_id), int)
_COUNT_MEMBERS = tenant_scoped(select(func.count()).select_from(scim_members).where(_OF), int)
_KNOWN = and_(_S.connection_id == bindparam("of_connection"), _S.removed_at.is_(None), among(_S.user_id, "ids"))
_JOIN = tenant_scoped(
    insert(scim_members).from_select(
        ["group_id", "user_id", "added_at"],
        select(bindparam("of_id", type_=BigInteger()), _S.user_id, bindparam("now", type_=BigInteger())).where(_KNOWN),
    )
)
_LEAVE = tenant_scoped(delete(scim_members).where(_OF, among(_M.user_id, "ids")))
#: Conditions of a search, by the names of their parameters.
CONDITIONS = {
    "display_name": _G.display_name_key == bindparam("display_name", type_=Text()),
    "external_id": _G.external_id == bindparam("external_id", type_=Text()),
    "id": _G.id == bindparam("id", type_=BigInteger()),
    "member": _G.id.in_(
        select(_M.group_id).where(_M.user_id == bindparam("member", type_=BigInteger()), tenant_condition(scim_members))
    ),
}


@cache
def _statements(names: frozenset[str]) -> tuple[TenantScoped[ScimGroup], TenantScoped[int]]:
    """The statements of a search: a page, and the number of rows."""
    where = (_IS_OF, *(CONDITIONS[name] for name in sorted(names)))
    page = (
        _ALL.where(*where).order_by(_G.id + 0 if names else _G.id).limit(bindparam("limit")).offset(bindparam("offset"))
    )
    return tenant_scoped(page, ScimGroup), tenant_scoped(
        select(func.count()).select_from(scim_groups).where(*where), int
    )


def count(unit: TenantUnit, connection: Connection, names: frozenset[str] = frozenset(), **values: Any) -> int:
    """The number of groups that meet these :data:`CONDITIONS`."""
    return unit.one(_statements(names)[1], of_connection=connection.id, **values)


def page(
    unit: TenantUnit, connection: Connection, names: frozenset[str], offset: int, limit: int, **values: Any
) -> list[ScimGroup]:
    """Groups that meet these :data:`CONDITIONS`, in order of their IDs."""
    return unit.all(_statements(names)[0], of_connection=connection.id, offset=offset, limit=limit, **values)


def get(unit: TenantUnit, connection: Connection, group_id: int, *, lock: bool = False) -> ScimGroup:
    """Returns a group of the connection. ``lock`` locks it until the transaction ends. Raises NotFound."""
    return existing(unit.first(_LOCKED if lock else _GET, of_connection=connection.id, of_id=group_id))


def members(unit: TenantUnit, group_id: int, among: Collection[int] | None = None) -> list[int]:
    """The IDs of the members, or of those ``among`` some users."""
    if among is None:
        return unit.all(_MEMBERS, of_id=group_id)
    return unit.all(_SOME, of_id=group_id, ids=numbers(among))


def create(
    unit: TenantUnit,
    ctx: RequestContext,
    connection: Connection,
    display_name: str,
    external_id: str | None,
    user_ids: Collection[int],
) -> int:
    """Creates a group, and returns its ID. Raises ValidationError for an unknown member, PayloadTooLarge, and the
    errors of roles that its members get."""
    _check(display_name, external_id)
    if count(unit, connection) >= MOST:
        raise PayloadTooLarge(f"A connection can have at most {MOST} groups")
    named = {"display_name": display_name, "display_name_key": email_key(display_name), "external_id": external_id}
    made = unit.one(_ADD, connection_id=connection.id, **named, created_at=ctx.now, changed_at=ctx.now)
    _set_members(unit, ctx, connection, get(unit, connection, made), user_ids, (), set())
    return made


def change(
    unit: TenantUnit,
    ctx: RequestContext,
    connection: Connection,
    before: ScimGroup,
    display_name: str,
    external_id: str | None,
    added: Collection[int],
    removed: Collection[int],
) -> None:
    """Changes a locked group. Raises the errors of :func:`create`."""
    _check(display_name, external_id)
    after = before._replace(display_name=display_name, external_id=external_id)
    named = {"new_display_name": display_name, "new_display_name_key": email_key(display_name)}
    unit.change(_CHANGE, of_id=before.id, **named, new_external_id=external_id, new_changed_at=ctx.now)
    is_renamed = _roles(connection, before) != _roles(connection, after)
    _set_members(unit, ctx, connection, after, added, removed, set(members(unit, before.id)) if is_renamed else set())


def remove(unit: TenantUnit, ctx: RequestContext, connection: Connection, group: ScimGroup) -> None:
    """Deletes a locked group, with the roles that only it granted."""
    _set_members(unit, ctx, connection, group, (), members(unit, group.id), set())
    unit.change(_DELETE, of_id=group.id)


def unknown_member(value: str) -> ValidationError:
    return ValidationError(details=[("members", f'"{value[:64]}" isn\'t the ID of a user of this connection')])


def _check(display_name: str, external_id: str | None) -> None:
    for name, text in (("displayName", display_name), ("externalId", external_id or "-")):
        if not 0 < len(text.strip()) <= len(text) <= _LONGEST:
            raise ValidationError(details=[(name, f"Must have 1 to {_LONGEST} characters")])


def _roles(connection: Connection, group: ScimGroup) -> int:
    """The roles of members of this group."""
    return users.roles_of(connection, [users.GroupOfUser(0, group.id, group.display_name, group.external_id)], ())


def _set_members(
    unit: TenantUnit,
    ctx: RequestContext,
    connection: Connection,
    group: ScimGroup,
    added: Collection[int],
    removed: Collection[int],
    regranted: Iterable[int],
) -> None:
    """Adds and removes members, and records it. ``regranted``: users whose roles change for another reason."""
    changed = {*added, *removed} if _roles(connection, group) != connection.default_roles else set[int]()
    changed.update(regranted)
    if len(changed) > MOST_REGRANTED:
        raise PayloadTooLarge(f"A request can change the roles of at most {MOST_REGRANTED} users, so send several")
    if added and unit.change(_JOIN, of_connection=connection.id, of_id=group.id, ids=numbers(added), now=ctx.now) < len(
        added
    ):
        raise unknown_member(str(min(set(added).difference(members(unit, group.id, added)))))
    if removed:
        unit.change(_LEAVE, of_id=group.id, ids=numbers(removed))
    if added and unit.one(_COUNT_MEMBERS, of_id=group.id) > MOST_MEMBERS:
        raise PayloadTooLarge(f"A group can have at most {MOST_MEMBERS} members")
    users.regrant(unit, ctx, connection, changed)
    detail = {"group": group.display_name, "added": len(added), "removed": len(removed)}
    audit.record(unit, ctx, Event.SCIM_GROUP_CHANGED, f"scim:{connection.id}", **detail, id=group.id)
