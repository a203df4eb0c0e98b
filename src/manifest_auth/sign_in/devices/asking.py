"""A device asks to be let in: by a code that it shows, or by one that it scanned.

The device is a public client: its client id says which app of which tenant it is, and proves nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

from manifest_auth import audit, tenants
from manifest_auth.accounts import device_apps
from manifest_auth.accounts.device_apps import OAuthApp
from manifest_auth.audit import Event
from manifest_auth.protocols.oauth import InvalidClient, InvalidRequest, TokenRefused
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.devices import codes, grants, limits, pairings
from manifest_auth.sign_in.devices.grants import Grant
from manifest_auth.store import SystemUnit
from manifest_auth.tenants.device_rules import PairingRules
from manifest_auth.text.scan_codes import grouped_letters, plain_letters

BY_CODE_S, BY_CODE_INTERVAL_S = 600, 5
BY_SCAN_S, BY_SCAN_INTERVAL_S = 120, 2
LONGEST_NAME = 40
_LONGEST_CODE = 400
_TRIES = 5


class ByCode(NamedTuple):
    """``user_code``: grouped, as the device shows it."""

    device_code: str
    user_code: str


class ByScan(NamedTuple):
    """``digits``: that the device shows."""

    device_code: str
    digits: str


async def authenticate(ctx: RequestContext, fields: Mapping[str, str]) -> OAuthApp:
    """The app that calls. Raises InvalidClient, also for one that shows a secret: apps have none."""
    if "client_secret" in fields or "client_assertion" in fields:
        raise InvalidClient("a device app authenticates by none")
    found = await device_apps.find_app(ctx.services.store, fields.get("client_id", ""))
    if found is None:
        raise InvalidClient("no such app, or its client is suspended")
    return found


def rules_of(app: OAuthApp) -> PairingRules:
    """The rules of the app's client."""
    return tenants.settings_of(app.settings).pairing


async def by_code(ctx: RequestContext, app: OAuthApp, fields: Mapping[str, str]) -> ByCode:
    """A device that shows a code (RFC 8628, section 3.1). Raises TokenRefused, InvalidRequest, TooMany."""
    name = _name(fields)
    if not rules_of(app).code:
        raise TokenRefused("unauthorized_client", "This client does not let devices in by code")
    await limits.count(ctx, limits.asked(ctx.address))
    services = ctx.services
    await services.keys.ensure_current()
    device_code = services.random.text(32)

    def work(unit: SystemUnit) -> str | None:
        bound = unit.of(app.tenant_id)
        limits.make_place(bound, app.id, ctx.now)
        for _ in range(_TRIES):
            shown = codes.user_code(services.random)
            marked = codes.mark(services, "user code", app.tenant_id, shown)
            fresh = _fresh(ctx, app, device_code, name)
            if grants.add(bound, fresh._replace(user_code=marked, expires_at=ctx.now + BY_CODE_S * 1000)):
                return shown
        return None

    shown = await services.store.write_quickly(work)
    if shown is None:
        raise limits.refusal(ctx, limits.PAUSE_MS)
    return ByCode(device_code, grouped_letters(shown))


async def by_scan(ctx: RequestContext, app: OAuthApp, fields: Mapping[str, str]) -> ByScan:
    """A device that scanned a code, or was told it. Raises TokenRefused, InvalidRequest, TooMany."""
    name, shown = _name(fields), fields.get("pairing_code", "")
    if not shown or len(shown) > _LONGEST_CODE:
        raise InvalidRequest("pairing_code is missing or too long")
    if not rules_of(app).scan:
        raise TokenRefused("unauthorized_client", "This client does not let devices in by scanning")
    await limits.count(ctx, (*limits.asked(ctx.address), *limits.claimed(ctx.address)))
    services = ctx.services
    await services.keys.ensure_current()
    device_code, digits = services.random.text(32), codes.digits(services.random)
    code = _own_code(shown, app)
    marks = codes.marks(services, "pairing", app.tenant_id, plain_letters(code))

    def work(unit: SystemUnit) -> None:
        limits.was_right(unit, ctx, limits.claimed(ctx.address))  # counters before rows, as everywhere
        bound, now = unit.of(app.tenant_id), ctx.now
        fresh = _fresh(ctx, app, device_code, name)._replace(
            digits=digits, interval_s=BY_SCAN_INTERVAL_S, expires_at=now + BY_SCAN_S * 1000
        )
        pairing = pairings.claim(bound, codes.hash_of(code), marks, fresh.key, now)
        if pairing is None:
            raise TokenRefused("invalid_grant", "The pairing code is unknown, used or over")
        grants.add(bound, fresh)
        detail = {"pairing": pairing.id, "app": app.id, "name": name}
        audit.record(bound, ctx, Event.PAIRING_CLAIMED, f"user:{pairing.user_id}", **detail)

    await services.store.write_quickly(work)
    return ByScan(device_code, digits)


def _fresh(ctx: RequestContext, app: OAuthApp, device_code: str, name: str) -> Grant:
    return Grant(
        key=codes.hash_of(device_code), user_code=None, app_id=app.id, device_name=name, address=ctx.address,
        user_agent=ctx.user_agent, digits="", state=grants.PENDING, user_id=None, role_cap=None, provider_id=None,
        session_ends_at=None, session_id=None, answered_at=None, interval_s=BY_CODE_INTERVAL_S, polled_at=None,
        created_at=ctx.now, expires_at=ctx.now,
    )  # fmt: skip


def _name(fields: Mapping[str, str]) -> str:
    """How the device calls itself; may be empty. Raises InvalidRequest."""
    name = unicodedata.normalize("NFC", fields.get("device_name", "").strip())
    if len(name) > LONGEST_NAME or not all(one.isalnum() or one in " -" for one in name):
        raise InvalidRequest("device_name must be at most 40 letters, digits, blanks and hyphens")
    return name


def _own_code(shown: str, app: OAuthApp) -> str:
    """The code in what was scanned, ``…#CLIENT.CODE``, or what was typed alone. Empty for another client's."""
    client, dot, code = shown.strip().rpartition("#")[2].rpartition(".")
    return code if not dot or client == app.client else ""
