"""The device's side (RFC 8628): request approval, poll for tokens, renew and end the session."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from manifest_auth import audit, sessions, tenants
from manifest_auth.accounts import apps, users
from manifest_auth.accounts.apps import App
from manifest_auth.audit import Event
from manifest_auth.context import DEVICE
from manifest_auth.errors import AccountDisabled
from manifest_auth.protocols.oauth import InvalidClient, InvalidRequest, TokenRefused
from manifest_auth.services import RequestContext
from manifest_auth.sessions import Hold, Opened, device_sessions
from manifest_auth.sessions.tokens import TokenPair
from manifest_auth.sign_in import completion, exchange_codes, session_lifecycle
from manifest_auth.sign_in.devices import grants
from manifest_auth.sign_in.devices.grants import Grant
from manifest_auth.sign_in.session_lifecycle import AppRefresh
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import Tenant
from manifest_auth.tenants.rules import PairingRules
from manifest_auth.text.scan_codes import grouped_letters, plain_letters, random_letters

BY_CODE_S, BY_CODE_INTERVAL_S = 600, 5
BY_SCAN_S, BY_SCAN_INTERVAL_S = 120, 2
LONGEST_NAME = 40
_LONGEST_CODE = 400
_TRIES = 5


async def authenticate(ctx: RequestContext, fields: Mapping[str, str]) -> App:
    """Returns the calling app, a public client. Its ID identifies the app and tenant, and proves nothing. Raises
    InvalidClient, also for an app that sends a secret, since these apps have none."""
    if "client_secret" in fields or "client_assertion" in fields:
        raise InvalidClient("device apps don't authenticate")
    found = await apps.find_app(ctx.services.store, fields.get("client_id", ""), ctx.now)
    if found is None or found.kind != "device":
        raise InvalidClient("unknown device app, or its client is suspended")
    return found


def rules_of(app: App) -> PairingRules:
    """Returns the rules of the app's client."""
    return tenants.settings_of(app.settings).pairing


async def by_code(ctx: RequestContext, app: App, fields: Mapping[str, str]) -> tuple[str, str]:
    """Returns the device code and the grouped user code of a device that shows a code (RFC 8628, section 3.1). Raises
    TokenRefused, InvalidRequest, TooMany."""
    name = _name(fields)
    if not rules_of(app).code:
        raise TokenRefused("unauthorized_client", "This client doesn't allow device codes")
    await grants.count(ctx, grants.count_asked(ctx.address))
    services = ctx.services
    await services.keys.ensure_current()
    device_code = services.random.text(32)

    def work(unit: SystemUnit) -> str | None:
        bound = unit.of(app.tenant_id)
        grants.make_place(bound, app.id, ctx.now)
        for _ in range(_TRIES):
            shown = random_letters(services.random.bytes, grants.USER_CODE)
            marked = grants.mark(services, "user code", app.tenant_id, shown)
            fresh = _fresh(ctx, app, device_code, name)
            if grants.add(bound, fresh._replace(user_code=marked, expires_at=ctx.now + BY_CODE_S * 1000)):
                return shown
        return None

    shown = await services.store.write_quickly(work)
    if shown is None:
        raise grants.refusal(ctx, grants.PAUSE_MS)
    return device_code, grouped_letters(shown)


async def by_scan(ctx: RequestContext, app: App, fields: Mapping[str, str]) -> tuple[str, str]:
    """Returns the device code of a device that scanned or typed a code, and the digits that it shows. Raises
    TokenRefused, InvalidRequest, TooMany."""
    name, shown = _name(fields), fields.get("pairing_code", "")
    if not shown or len(shown) > _LONGEST_CODE:
        raise InvalidRequest("pairing_code is missing or too long")
    if not rules_of(app).scan:
        raise TokenRefused("unauthorized_client", "This client doesn't allow pairing by scanning")
    await grants.count(ctx, (*grants.count_asked(ctx.address), *grants.count_claimed(ctx.address)))
    services = ctx.services
    await services.keys.ensure_current()
    device_code, digits = services.random.text(32), grants.digits(services.random)
    code = _own_code(shown, app)
    marks = grants.marks(services, "pairing", app.tenant_id, plain_letters(code))

    def work(unit: SystemUnit) -> None:
        grants.was_right(unit, ctx, grants.count_claimed(ctx.address))  # counters before rows, as everywhere
        bound, now = unit.of(app.tenant_id), ctx.now
        fresh = _fresh(ctx, app, device_code, name)._replace(
            digits=digits, interval_s=BY_SCAN_INTERVAL_S, expires_at=now + BY_SCAN_S * 1000
        )
        pairing = grants.claim_pairing(bound, grants.hash_of(code), marks, fresh.key, now)
        if pairing is None:
            raise TokenRefused("invalid_grant", "The pairing code is unknown, used, or expired")
        grants.add(bound, fresh)
        detail = {"pairing": pairing.id, "app": app.id, "name": name}
        audit.record(bound, ctx, Event.PAIRING_CLAIMED, f"user:{pairing.user_id}", **detail)

    await services.store.write_quickly(work)
    return device_code, digits


def _fresh(ctx: RequestContext, app: App, device_code: str, name: str) -> Grant:
    return Grant(
        key=grants.hash_of(device_code), user_code=None, app_id=app.id, device_name=name, address=ctx.address,
        user_agent=ctx.user_agent, digits="", state=grants.PENDING, user_id=None, role_cap=None, provider_id=None,
        session_ends_at=None, session_id=None, answered_at=None, interval_s=BY_CODE_INTERVAL_S, polled_at=None,
        created_at=ctx.now, expires_at=ctx.now,
    )  # fmt: skip


def _name(fields: Mapping[str, str]) -> str:
    """Returns the name that the device gives itself, which can be empty. Raises InvalidRequest."""
    name = unicodedata.normalize("NFC", fields.get("device_name", "").strip())
    if len(name) > LONGEST_NAME or not all(one.isalnum() or one in " -" for one in name):
        raise InvalidRequest("device_name must have at most 40 letters, digits, spaces, and hyphens")
    return name


def _own_code(shown: str, app: App) -> str:
    """Returns the code from a scanned text, ``…#CLIENT.CODE``, or a typed code. Empty for another client's code."""
    client, dot, code = shown.strip().rpartition("#")[2].rpartition(".")
    return code if not dot or client == app.client else ""


# A device requests its tokens (RFC 8628, sections 3.4 and 3.5). The poll that finds the approval opens the session in
# its own transaction. For ten seconds the same response is returned once more, in case the first one was lost. A device
# code that arrives later is a copy, and ends the session.

AGAIN_MS = 10_000
_EARLY_MS, _SLOWER_S, _SLOWEST_S = 500, 5, 60
_SENTENCES = {
    "authorization_pending": "Nobody has approved the device yet",
    "slow_down": "Poll less often",
    "expired_token": "The device code has expired. Start again",
    "access_denied": "The device was rejected",
    "invalid_grant": "The device code is unknown or used, or belongs to a different app",
}
#: The error of a refusal, or the session of a client's user with its roles, the parent of its refresh token, and
#: whether it is new.
_Outcome = str | tuple[Tenant, int, Opened, int, str | None, bool]


async def poll(ctx: RequestContext, app: App, device_code: str) -> tuple[TokenPair, int]:
    """Returns the tokens of an approved device, and the roles of its session as a bit mask. Raises TokenRefused."""
    services, key = ctx.services, grants.hash_of(device_code)
    await services.keys.ensure_current()
    outcome = await services.store.write_quickly(lambda unit: _polled(unit, ctx, app, key))
    if isinstance(outcome, str):
        raise TokenRefused(outcome, _SENTENCES[outcome])
    tenant, user_id, opened, roles, parent, is_first = outcome
    if is_first:
        services.metrics.signed_in(DEVICE, "ok")
        completion.log(ctx, tenant, user_id, DEVICE)
    return completion.pair_of(ctx, tenant, user_id, opened, parent), roles


def _polled(unit: SystemUnit, ctx: RequestContext, app: App, key: str) -> _Outcome:
    bound, now = unit.of(app.tenant_id), ctx.now
    grant = grants.find(bound, key)
    if grant is None or grant.app_id != app.id:
        return "invalid_grant"
    if grant.state == grants.APPROVED and grants.use(bound, key, now):
        return _opened(unit, ctx, app.tenant_id, grant)
    grant = grants.find(bound, key) or grant  # another poll might have used it in the meantime
    if grant.state == grants.USED:
        return _again(unit, ctx, app.tenant_id, grant)
    if grant.state == grants.DENIED:
        return "access_denied"
    if now >= grant.expires_at:
        return "expired_token"
    return _pending(bound, grant, now)


def _pending(unit: TenantUnit, grant: Grant, now: int) -> str:
    """Handles a poll of a pending grant. If the device polls too early, the interval grows permanently; at one minute
    the grant ends."""
    is_early = grant.polled_at is not None and now - grant.polled_at < grant.interval_s * 1000 - _EARLY_MS
    interval_s = grant.interval_s + _SLOWER_S if is_early else grant.interval_s
    is_over = interval_s >= _SLOWEST_S
    grants.polled(unit, grant.key, interval_s, now if is_over else grant.expires_at, now)
    if is_over:
        return "expired_token"
    return "slow_down" if is_early else "authorization_pending"


def _opened(unit: SystemUnit, ctx: RequestContext, tenant_id: int, grant: Grant) -> _Outcome:
    """Opens the session of a grant that this transaction used. If that fails, every later request is rejected too."""
    bound = unit.of(tenant_id)
    user_id, cap, ends_at = grant.user_id or 0, grant.role_cap or 0, grant.session_ends_at or 0
    user = users.get(bound, user_id, lock=True)
    if not user.roles & cap or device_sessions.count_of(bound, user_id, ctx.now) >= grants.DEVICES:
        return "access_denied"
    if exchange_codes.provider_refusal(bound, grant.provider_id, user_id):
        return "access_denied"
    held = Hold(DEVICE, cap, ends_at, grant.device_name, app_id=grant.app_id, provider_id=grant.provider_id)
    try:
        tenant, _, opened = completion.open_on_device(unit, ctx, tenant_id, user_id, held, "device")
    except AccountDisabled:
        return "access_denied"
    grants.opened(bound, grant.key, opened.session_id)
    return tenant, user_id, opened, user.roles & cap, None, True


def _again(unit: SystemUnit, ctx: RequestContext, tenant_id: int, grant: Grant) -> _Outcome:
    """Returns the same session within seconds; later, ends it."""
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
    again = Opened(found.session_id, "", chain.current, found.ends_at)
    return tenants.get(unit, tenant_id), found.user_id, again, found.roles, chain.previous, False


async def refresh(ctx: RequestContext, app: App, token: str) -> tuple[TokenPair, int]:
    """Returns new tokens of the session that the app holds, and its roles as a bit mask (RFC 6749, section 6). Raises
    TokenRefused."""
    with session_lifecycle.told_to_apps():
        pair, session = await session_lifecycle.refresh(ctx, token, AppRefresh(app.id, app.tenant_id))
    return pair, session.roles
