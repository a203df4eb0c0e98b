"""Life cycle of a client: create, suspend, restore, mark for deletion, end sessions.

Each is recorded in the client's audit trail; marks for deletion, and their removal, in the installation's as well.
"""

from __future__ import annotations

from manifest_auth import audit, sessions, tenants
from manifest_auth.audit import Act, Event
from manifest_auth.context import Acting
from manifest_auth.errors import Conflict, NotFound
from manifest_auth.runtime.settings import DAY
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import Tenant, TenantSettings, step_up
from manifest_auth.text import fields
from manifest_auth.text.canonical import when
from manifest_auth.text.models import ErrorCollector


def check(identifier: str, name: str, settings: TenantSettings) -> None:
    """Checks a new client. Raises ValidationError that names all that are wrong."""
    with ErrorCollector() as each:
        with each:
            tenants.check_identifier(identifier)
        with each:
            fields.CLIENT_NAME.check(name, "name")
        with each:
            tenants.check(settings, "settings.")


def create(unit: SystemUnit, acting: Acting, identifier: str, name: str, settings: TenantSettings) -> Tenant:
    """Creates a client. Raises ValidationError, and Conflict when the identifier is taken."""
    check(identifier, name, settings)
    made = tenants.create(unit, identifier, name, settings, acting.origin.at)
    audit.record_creation(unit, made.id, acting, identifier=made.identifier, name=made.name, settings=made.settings)
    return made


def suspend(unit: SystemUnit, acting: Acting, tenant: Tenant) -> Tenant:
    """Suspends a client: its users are refused at once. Raises Conflict for one that is suspended already."""
    now = acting.origin.at
    if not tenants.suspend(unit, tenant, now):
        raise Conflict("The client is suspended already")
    ended = sessions.end_tenant(unit.of(tenant.id), "client_suspended", now)
    suspended = tenant._replace(suspended_at=now)
    _record(unit, acting, Event.CLIENT_SUSPENDED, tenant, suspended, sessions_ended=ended)
    return suspended


def restore(unit: SystemUnit, acting: Acting, tenant: Tenant) -> Tenant:
    """Restores a suspended client; for one that is marked for deletion, only takes the mark back. Raises Conflict."""
    if tenant.suspended_at is None:
        raise Conflict("The client is not suspended")
    if tenant.delete_at is not None and tenant.delete_at <= acting.origin.at:
        raise Conflict("The time to take the deletion back is over")
    restored = tenants.restore(unit, tenant)
    sessions.void_pending(unit.of(tenant.id))
    _record(unit, acting, Event.CLIENT_RESTORED, tenant, restored)
    return restored


def mark_for_deletion(unit: SystemUnit, acting: Acting, tenant: Tenant, delete_at: int) -> Tenant:
    """Suspends a client, which :mod:`.delete_clients` deletes at ``delete_at``. Raises Conflict for one that is marked
    already."""
    step_up.check(acting, Act.DELETION)
    if tenant.delete_at is not None:
        raise Conflict("The client is marked for deletion already")
    now = acting.origin.at
    marked = tenants.mark_for_deletion(unit, tenant, delete_at, now)
    ended = sessions.end_tenant(unit.of(tenant.id), "client_deleted", now)
    _record(unit, acting, Event.CLIENT_DELETION_STARTED, tenant, marked, sessions_ended=ended)
    return marked


def start_deletion(unit: SystemUnit, ctx: RequestContext, tenant: Tenant) -> Tenant:
    """As :func:`mark_for_deletion`, after the time that the settings give to take it back."""
    at = ctx.now + ctx.services.settings.client_deletion_days * DAY * 1000
    return mark_for_deletion(unit, ctx, tenant, at)


def end_sessions(unit: SystemUnit, acting: Acting, tenant: Tenant) -> int:
    """Ends all sessions of a client, and voids what becomes one later; how many there were. ``tenant``: locked."""
    bound = unit.of(tenant.id)
    sessions.void_pending(bound)
    ended = sessions.end_tenant(bound, "ended_by_admin", acting.origin.at)
    audit.record(bound, acting, Event.SIGNED_OUT_ALL, f"client:{tenant.id}", sessions=ended)
    return ended


def end_session(unit: TenantUnit, acting: Acting, session_id: str) -> None:
    """Ends one session of the client. Raises NotFound."""
    found = sessions.find_listed(unit, session_id)
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
