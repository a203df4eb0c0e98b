"""A device asks for its tokens: RFC 8628, sections 3.4 and 3.5.

The poll that finds the approval opens the session in its own transaction. The same answer is given once more for ten
seconds, in case the first one got lost; a device code that is shown later is a copy, and ends the session.
"""

from __future__ import annotations

from manifest_auth import audit, sessions, tenants
from manifest_auth.accounts import users
from manifest_auth.accounts.device_apps import OAuthApp
from manifest_auth.audit import Event
from manifest_auth.context import DEVICE
from manifest_auth.errors import AccountDisabled
from manifest_auth.protocols.oauth import TokenRefused
from manifest_auth.services import RequestContext
from manifest_auth.sessions import Hold, device_sessions
from manifest_auth.sessions.tokens import TokenPair
from manifest_auth.sign_in import completion, exchange_codes
from manifest_auth.sign_in.completion import SignedInDevice
from manifest_auth.sign_in.devices import codes, grants, limits
from manifest_auth.sign_in.devices.grants import Grant
from manifest_auth.store import SystemUnit, TenantUnit

AGAIN_MS = 10_000
_EARLY_MS, _SLOWER_S, _SLOWEST_S = 500, 5, 60
_SENTENCES = {
    "authorization_pending": "No one has approved the device yet",
    "slow_down": "Ask less often",
    "expired_token": "The device code is over: begin anew",
    "access_denied": "The device was not let in",
    "invalid_grant": "The device code is unknown, used or another app's",
}
#: A refusal by its error, or the session and its roles, with the parent of its refresh token.
_Outcome = str | tuple[SignedInDevice, int, str | None, bool]


async def poll(ctx: RequestContext, app: OAuthApp, device_code: str) -> tuple[TokenPair, int]:
    """The tokens of a device that was let in, and the roles of its session, a bit mask. Raises TokenRefused."""
    services, key = ctx.services, codes.hash_of(device_code)
    await services.keys.ensure_current()
    outcome = await services.store.write_quickly(lambda unit: _polled(unit, ctx, app, key))
    if isinstance(outcome, str):
        raise TokenRefused(outcome, _SENTENCES[outcome])
    signed_in, roles, parent, is_first = outcome
    if is_first:
        services.metrics.signed_in(DEVICE, "ok")
        services.log.info("signed_in", request_id=ctx.request_id, client=app.client, user=signed_in.user.id,
                          method=DEVICE, address=ctx.address)  # fmt: skip
    return completion.pair_of_device(ctx, signed_in, parent), roles


def _polled(unit: SystemUnit, ctx: RequestContext, app: OAuthApp, key: str) -> _Outcome:
    bound, now = unit.of(app.tenant_id), ctx.now
    grant = grants.find(bound, key)
    if grant is None or grant.app_id != app.id:
        return "invalid_grant"
    if grant.state == grants.APPROVED and grants.use(bound, key, now):
        return _opened(unit, ctx, app.tenant_id, grant)
    grant = grants.find(bound, key) or grant  # another poll may have used it meanwhile
    if grant.state == grants.USED:
        return _again(unit, ctx, app.tenant_id, grant)
    if grant.state == grants.DENIED:
        return "access_denied"
    if now >= grant.expires_at:
        return "expired_token"
    return _pending(bound, grant, now)


def _pending(unit: TenantUnit, grant: Grant, now: int) -> str:
    """Asked too early, the interval grows for good; at a minute the grant ends."""
    is_early = grant.polled_at is not None and now - grant.polled_at < grant.interval_s * 1000 - _EARLY_MS
    interval_s = grant.interval_s + _SLOWER_S if is_early else grant.interval_s
    is_over = interval_s >= _SLOWEST_S
    grants.polled(unit, grant.key, interval_s, now if is_over else grant.expires_at, now)
    if is_over:
        return "expired_token"
    return "slow_down" if is_early else "authorization_pending"


def _opened(unit: SystemUnit, ctx: RequestContext, tenant_id: int, grant: Grant) -> _Outcome:
    """The session of a grant that this transaction used. Without one, whatever comes later is refused too."""
    bound = unit.of(tenant_id)
    user_id, cap, ends_at = grant.user_id or 0, grant.role_cap or 0, grant.session_ends_at or 0
    user = users.get(bound, user_id, lock=True)
    if not user.roles & cap or device_sessions.count_of(bound, user_id, ctx.now) >= limits.DEVICES:
        return "access_denied"
    if exchange_codes.provider_refusal(bound, grant.provider_id, user_id):
        return "access_denied"
    held = Hold(
        method=DEVICE, role_cap=cap, ends_at=ends_at, label=grant.device_name, app_id=grant.app_id,
        provider_id=grant.provider_id,
    )  # fmt: skip
    try:
        opened = completion.open_on_device(unit, ctx, tenant_id, user_id, held, "device")
    except AccountDisabled:
        return "access_denied"
    grants.opened(bound, grant.key, opened.session_id)
    return opened, user.roles & cap, None, True


def _again(unit: SystemUnit, ctx: RequestContext, tenant_id: int, grant: Grant) -> _Outcome:
    """The same session, within seconds; later its end."""
    if grant.session_id is None or grant.answered_at is None:
        return "access_denied"
    bound = unit.of(tenant_id)
    found, chain = sessions.read_with_chain(unit, grant.session_id)
    if found is None or not found.is_alive(ctx.now):
        return "invalid_grant"
    if ctx.now - grant.answered_at > AGAIN_MS:
        sessions.end(bound, grant.session_id, "device_code_reused", ctx.now)
        subject = f"user:{found.user_id}"
        audit.record(bound, ctx, Event.DEVICE_CODE_REUSED, subject, session=grant.session_id, app=grant.app_id)
        return "invalid_grant"
    tenant = tenants.get(unit, tenant_id)
    user = users.get(bound, found.user_id)
    again = SignedInDevice(user, tenant, found.session_id, found.ends_at, chain.current)
    return again, found.roles, chain.previous, False
