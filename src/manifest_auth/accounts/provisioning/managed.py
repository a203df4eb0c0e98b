"""Users whom a connection manages: only it can change their names, title, address, and whether they are active."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, delete, select, update

from manifest_auth import audit
from manifest_auth.accounts import rank
from manifest_auth.accounts.provisioning import connections
from manifest_auth.audit import Act, Event
from manifest_auth.context import Request, ScimCaller, SystemCaller
from manifest_auth.errors import Conflict, existing
from manifest_auth.store import TenantUnit, among, numbers, tenant_scoped
from manifest_auth.store.tables import scim_connections, scim_emails, scim_groups, scim_members, scim_users
from manifest_auth.tenants import step_up
from manifest_auth.text.languages import marked as _

#: The members of :data:`.users.FIELDS` that only the connection changes.
MEMBERS = frozenset({"email", "first_name", "last_name", "title"})
_C, _U = scim_connections.c, scim_users.c
_ID: Any = bindparam("of_user")
_NAME = tenant_scoped(
    select(_C.name)
    .select_from(scim_users.join(scim_connections, (_C.tenant_id == _U.tenant_id) & (_C.id == _U.connection_id)))
    .where(_U.user_id == _ID, _U.removed_at.is_(None)),
    str,
)
_GROUPS = tenant_scoped(select(scim_members.c.group_id).where(scim_members.c.user_id == _ID), int)
_CHANGED = tenant_scoped(
    update(scim_groups).where(among(scim_groups.c.id, "ids")).values(version=scim_groups.c.version + 1)
)
_FORGET = tuple(
    tenant_scoped(delete(table).where(table.c.user_id == _ID)) for table in (scim_members, scim_emails, scim_users)
)


def managed_by(unit: TenantUnit, user_id: int) -> str | None:
    """Returns the name of the connection that manages the user."""
    return unit.first(_NAME, of_user=user_id)


def check(unit: TenantUnit, who: Request, user_id: int) -> None:
    """Rejects a change by anyone but the connection that manages the user, or the command line. Raises Conflict."""
    if isinstance(who.caller, ScimCaller | SystemCaller):
        return
    name = managed_by(unit, user_id)
    if name is not None:
        raise Conflict(
            _("The SCIM connection %(name)s manages this user. Change the user at the identity provider", name=name)
        )


def release(unit: TenantUnit, who: Request, name: str, user_id: int) -> None:
    """Ends the management of a user by a connection. The user keeps all roles. Raises NotFound, Forbidden unless the
    caller is an Admin, or ReauthenticationRequired."""
    step_up.check(who, Act.SERVICE_ACCOUNTS)
    step_up.not_for_machines(who)
    connection = connections.get(unit, name, lock=True)
    existing(True if managed_by(unit, user_id) == name else None)
    rank.check_is_admin(unit, who, _("Only an Admin can release a user from a SCIM connection"))
    unit.change(_CHANGED, ids=numbers(unit.all(_GROUPS, of_user=user_id)))
    for statement in _FORGET:
        unit.change(statement, of_user=user_id)
    audit.record(unit, who, Event.SCIM_USER_RELEASED, f"user:{user_id}", connection=connection.name)
