"""A session that enrolled the first factor has proved it: two factors, where the password or the provider is recent."""

from __future__ import annotations

from manifest_auth import sessions
from manifest_auth.services import RequestContext
from manifest_auth.sessions.sessions import MFA, Way
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import step_up


def enrolled(unit: TenantUnit, ctx: RequestContext, way: Way) -> None:
    """Stores in the caller's session that the new factor was proved too, as a sign-in that enrols one does. The moment
    of the proof stays. A one-time link is no first factor, so such a session stays as it is."""
    caller = ctx.user
    if not caller.factors and caller.authenticated_at is not None and step_up.has_recent_first(caller, ctx.now):
        amr = (*step_up.first_ways(caller), way, MFA)
        sessions.proved_again(unit, caller.session_id, caller.user_id, amr, caller.authenticated_at)
