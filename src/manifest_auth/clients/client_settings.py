"""Changes a client's settings, with one rule for system admins and for the client's own Admin and User Admin."""

from __future__ import annotations

from typing import Any

import msgspec

from manifest_auth import audit, sessions, tenants
from manifest_auth.accounts import rank, users
from manifest_auth.accounts.factors import trusted_browsers
from manifest_auth.audit import Act, Event
from manifest_auth.clients import admins_way_in
from manifest_auth.errors import Conflict, Forbidden, NotFound, ValidationError
from manifest_auth.permissions import Permission
from manifest_auth.runtime.settings import DAY, Settings
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import (
    StoredSettings,
    Tenant,
    TenantSettings,
    TenantSettingsChange,
    brand_assets,
    png,
    step_up,
)
from manifest_auth.tenants.brand_assets import Logo
from manifest_auth.tenants.rules import Effects
from manifest_auth.text import fields
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import ErrorCollector, Wire

_LAST_WAY = "No Admin could sign in any longer, because no provider that is turned on accepts Admins"


def sign_in_url(settings: Settings, client: str) -> str:
    """Returns the address at which users of a client sign in. ``client`` is its identifier."""
    return f"{settings.public_url.rstrip('/')}/sign-in?client={client}"


def change(
    unit: SystemUnit,
    ctx: RequestContext,
    before: Tenant,
    name: str | None,
    change: TenantSettingsChange | None,
    under: str = "",
) -> Tenant:
    """Changes the name and settings. ``before`` must be locked. None leaves a value unchanged. ``under`` is the prefix
    of member names in errors. If a new maximum is shorter, older sessions and trusted browsers end immediately.

    Raises ValidationError, ReauthenticationRequired, Forbidden for a change that only an Admin can make, or Conflict if
    no Admin could sign in after it.
    """
    bound, old = unit.of(before.id), tenants.settings_of(before.settings)
    named, new = before.name, old
    with ErrorCollector() as each:
        if name is not None:
            with each:
                named = fields.CLIENT_NAME.check(name, "name")
        if change is not None:
            with each:
                new = checked(bound, ctx, old, change, under)
    step_up.check(ctx, Act.RULES, needed=msgspec.structs.replace(new, branding=old.branding) != old)
    after = tenants.change(unit, before, named, new)
    most = tenants.lengths_of(new, ctx.services.settings).max_seconds
    shortened = 0
    if most < tenants.lengths_of(old, ctx.services.settings).max_seconds:
        shortened = sessions.shorten(bound, most)
    if new.second_factor.trusted_days < old.second_factor.trusted_days:
        trusted_browsers.end_older(bound, new.second_factor.trusted_days, ctx.now)
    _record(bound, ctx, before, after, shortened)
    return after


def check(ctx: RequestContext, settings: TenantSettings, under: str) -> None:
    """Checks the settings of a new client. Raises ValidationError."""
    tenants.check_lengths(settings.sessions, tenants.installation_lengths(ctx.services.settings), under)


def checked(
    unit: TenantUnit, ctx: RequestContext, old: StoredSettings, change: TenantSettingsChange, under: str = ""
) -> StoredSettings:
    """Returns the settings after a change by the caller, without storing them. Raises the same errors as
    :func:`change`."""
    by = rank.manager(unit, ctx, Permission.SETTINGS_MANAGE)
    new = tenants.apply_change(old, change, by_admin=by.is_admin)
    with ErrorCollector() as each:
        with each:
            tenants.check(new, under)
        if new.sessions != old.sessions:
            with each:
                tenants.check_lengths(new.sessions, tenants.installation_lengths(ctx.services.settings), under)
    if not by.is_admin and (members := tenants.admin_only_members(old, new)):
        raise Forbidden(
            _("Only an Admin can change settings that protect Admins"),
            details=[(f"{under}{name}", _("Only an Admin can make this change")) for name in members],
        )
    if by.user_id is not None and admins_way_in.ends(unit, old, new):
        member = "passwordSignIn" if old.password_sign_in and not new.password_sign_in else "passkeySignIn"
        raise Conflict(_LAST_WAY, details=[(f"{under}{member}", _LAST_WAY)])
    return new


def _record(unit: TenantUnit, ctx: RequestContext, before: Tenant, after: Tenant, shortened: int) -> None:
    old, new = tenants.settings_of(before.settings), tenants.settings_of(after.settings)
    subject = f"client:{after.id}"
    if old.branding != new.branding:
        audit.record(unit, ctx, Event.BRANDING_CHANGED, subject, before=_branding(old), after=_branding(new))
        if after.name == before.name and msgspec.structs.replace(new, branding=old.branding) == old:
            return
    detail: dict[str, Any] = {"before": [before.name, before.settings], "after": [after.name, after.settings]}
    if shortened:
        detail["sessions_shortened"] = shortened
    audit.record(unit, ctx, Event.CLIENT_CHANGED, subject, **detail)


def _branding(settings: StoredSettings) -> dict[str, str]:
    return {"name": settings.branding.name, "accent": settings.branding.accent}


def count(unit: TenantUnit, ctx: RequestContext, old: StoredSettings, new: StoredSettings) -> Effects:
    """Returns the number of sessions and users that the change from ``old`` to ``new`` affects. Changes nothing.

    ``old`` must be the stored settings.
    """
    installation, now = ctx.services.settings, ctx.now
    was, most = (tenants.lengths_of(one, installation).max_seconds for one in (old, new))
    age = new.password.max_age_days
    days, days_then = (one.second_factor.trusted_days for one in (old, new))
    return Effects(
        sessions_ended=sessions.older(unit, most, now) if most < was else 0,
        with_password=users.with_password(unit, now) if old.password_sign_in and not new.password_sign_in else 0,
        due=users.with_password(unit, now - age * DAY * 1000) if age and age != old.password.max_age_days else 0,
        to_enrol=users.without_factor(unit, tenants.required_roles(new), but=tenants.required_roles(old)),
        trust_ended=trusted_browsers.ending(unit, days, days_then, now) if days_then < days else 0,
        locks_admins_out=admins_way_in.ends(unit, old, new),
    )


class BrandData(Wire, frozen=True):
    """``name``: as pages show it. ``logo``, with its size in pixels, and ``stylesheet``: addresses below the public
    URL, or null. An address changes with its content."""

    name: str
    logo: str | None
    width: int
    height: int
    stylesheet: str | None


def brand_of(unit: TenantUnit, tenant: Tenant) -> BrandData:
    """The branding of ``tenant``, which must be the tenant of this unit."""
    logo, sheet = brand_assets.find(unit), stylesheet_of(tenant.identifier, tenant.settings)
    name = tenants.shown_name(tenant)
    if logo is None:
        return BrandData(name, None, 0, 0, sheet)
    return BrandData(name, logo_address(tenant.identifier, logo), logo.width, logo.height, sheet)


def stylesheet_of(client: str, settings: str) -> str | None:
    """The path of the stylesheet with a client's color; None if it has no color. ``settings`` must be as stored."""
    accent = tenants.settings_of(settings).branding.accent
    return f"{_base(client)}{brand_assets.stylesheet(accent).hash}.css" if accent else None


def logo_address(client: str, logo: Logo) -> str:
    """The path of a client's logo."""
    return f"{_base(client)}{logo.hash}.png"


def _base(client: str) -> str:
    return f"/assets/brand/{client}/"


def put_logo(unit: TenantUnit, ctx: RequestContext, data: bytes) -> Logo:
    """Sets the logo. ``data`` is a PNG. Raises ValidationError if it is invalid, or Forbidden."""
    try:
        picture = png.clean(data)
    except png.InvalidPng as error:
        raise ValidationError(details=[("logo", error.args[0])]) from None
    rank.manager(unit, ctx, Permission.SETTINGS_MANAGE)
    before = brand_assets.find(unit)
    after = brand_assets.put(unit, picture)
    _record_branding(unit, ctx, before, after)
    return after


def drop_logo(unit: TenantUnit, ctx: RequestContext) -> None:
    """Deletes the logo. Raises NotFound if there is none, or Forbidden."""
    rank.manager(unit, ctx, Permission.SETTINGS_MANAGE)
    before = brand_assets.find(unit)
    if not brand_assets.drop(unit):
        raise NotFound()
    _record_branding(unit, ctx, before, None)


def _record_branding(unit: TenantUnit, ctx: RequestContext, before: Logo | None, after: Logo | None) -> None:
    detail = {"before": _detail(before), "after": _detail(after)}
    audit.record(unit, ctx, Event.BRANDING_CHANGED, f"client:{unit.tenant_id}", **detail)


def _detail(logo: Logo | None) -> dict[str, object]:
    return {"logo": None if logo is None else logo._asdict()}
