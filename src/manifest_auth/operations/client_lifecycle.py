"""What system admins do with a client as a whole: create, suspend, let in again, mark for deletion, sign
everyone out. Each stands in the client's audit trail; what begins or takes back its end stands in the installation's as
well."""

from __future__ import annotations

from manifest_auth import audit, sessions, tenants
from manifest_auth.audit import Event
from manifest_auth.context import Acting, require_recent
from manifest_auth.errors import Conflict, NotFound
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import Tenant, TenantSettings
from manifest_auth.text.canonical import check_line, when

LONGEST_NAME = 200


def create(unit: SystemUnit, acting: Acting, identifier: str, name: str, settings: TenantSettings) -> Tenant:
    """Raises ValidationError, and Conflict when the identifier is taken."""
    check_line(name, "name", LONGEST_NAME)
    made = tenants.create(unit, identifier, name, settings, acting.origin.at)
    audit.record_creation(unit, made.id, acting, identifier=made.identifier, name=made.name, settings=made.settings)
    return made


def suspend(unit: SystemUnit, acting: Acting, tenant: Tenant) -> Tenant:
    """Refuses its users at once. Raises Conflict for one that is suspended already."""
    now = acting.origin.at
    if not tenants.suspend(unit, tenant, now):
        raise Conflict("The client is suspended already")
    ended = sessions.end_tenant(unit.of(tenant.id), "client_suspended", now)
    suspended = tenant._replace(suspended_at=now)
    _record(unit, acting, Event.CLIENT_SUSPENDED, tenant, suspended, sessions_ended=ended)
    return suspended


def restore(unit: SystemUnit, acting: Acting, tenant: Tenant) -> Tenant:
    """Lets a suspended client in again; of one that is marked for deletion, takes that back alone. Raises Conflict."""
    if tenant.suspended_at is None:
        raise Conflict("The client is not suspended")
    if tenant.delete_at is not None and tenant.delete_at <= acting.origin.at:
        raise Conflict("The time to take the deletion back is over")
    restored = tenants.restore(unit, tenant)
    sessions.take_codes_back(unit.of(tenant.id))
    _record(unit, acting, Event.CLIENT_RESTORED, tenant, restored)
    return restored


def mark_for_deletion(unit: SystemUnit, acting: Acting, tenant: Tenant, delete_at: int) -> Tenant:
    """Suspends a client that :mod:`.delete_clients` takes away at ``delete_at``. Raises Conflict for one that is marked
    already."""
    require_recent(acting)
    if tenant.delete_at is not None:
        raise Conflict("The client is marked for deletion already")
    now = acting.origin.at
    marked = tenants.mark(unit, tenant, delete_at, now)
    ended = sessions.end_tenant(unit.of(tenant.id), "client_deleted", now)
    _record(unit, acting, Event.CLIENT_DELETION_STARTED, tenant, marked, sessions_ended=ended)
    return marked


def end_sessions(unit: SystemUnit, acting: Acting, tenant: Tenant) -> int:
    """Signs everyone of the client out; how many sessions there were. ``tenant``: locked."""
    bound = unit.of(tenant.id)
    ended = sessions.end_tenant(bound, "ended_by_admin", acting.origin.at)
    audit.record(bound, acting, Event.SIGNED_OUT_ALL, f"client:{tenant.id}", sessions=ended)
    return ended


def end_session(unit: TenantUnit, acting: Acting, session_id: str) -> None:
    """Ends one session of the client. Raises NotFound."""
    found = sessions.find_seen(unit, session_id)
    if found is None or not sessions.end(unit, session_id, "ended_by_admin", acting.origin.at):
        raise NotFound()
    audit.record(unit, acting, Event.SESSION_ENDED, f"user:{found.user_id}", session=session_id)


def _record(unit: SystemUnit, acting: Acting, event: Event, before: Tenant, after: Tenant, **more: int) -> None:
    detail = {"before": _state(before), "after": _state(after), **more}
    audit.record(unit.of(after.id), acting, event, f"client:{after.id}", **detail)
    if before.delete_at != after.delete_at:
        audit.record_installation(unit, acting, event, f"client:{after.id}", identifier=after.identifier, **detail)


def _state(tenant: Tenant) -> dict[str, str | None]:
    times = {"suspendedAt": tenant.suspended_at, "deleteAt": tenant.delete_at}
    return {name: when(at) if at is not None else None for name, at in times.items()}
