"""``/installation/settings``, ``…/licence`` and ``…/keys``: settings, license and signing keys of this server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth import licence
from manifest_auth.errors import ValidationError, existing
from manifest_auth.http import Answer
from manifest_auth.licence import LicenceData, State
from manifest_auth.maintenance import installation_state, licence_watch, signing_keys
from manifest_auth.maintenance.installation_state import InstallationData
from manifest_auth.pages import flash
from manifest_auth.pages.call import Confirmation, PageCall, View
from manifest_auth.pages.console.frame import address, one_of
from manifest_auth.pages.routing import ADMIN_OVERVIEW, admin_page
from manifest_auth.services import RequestContext
from manifest_auth.sessions import tokens
from manifest_auth.sessions.tokens import KeyData, ListedKey, Purpose
from manifest_auth.store import Filters, SystemUnit
from manifest_auth.text import fields
from manifest_auth.text.languages import marked as _
from manifest_auth.text.languages import several

SETTINGS_PATH = f"{ADMIN_OVERVIEW}/settings"
_SETTINGS_TEMPLATE = "installation/settings.html"
_SETTINGS_DONE = {"saved": _("Settings saved. They take effect on every node within a second.")}


class SettingsForm(msgspec.Struct, frozen=True, rename="camel"):
    """The form of the settings. ``second_factor_required``: empty for no."""

    second_factor_required: Annotated[str, Meta(max_length=10)] = ""
    admin_addresses: Annotated[str, Meta(max_length=4000)] = ""


async def _show_settings(ctx: RequestContext, call: PageCall[SettingsForm | None]) -> View | Answer[None]:
    form, settings = call.fields, ctx.services.settings
    if form is None:
        settled = await ctx.services.store.read(lambda unit: installation_state.read_settings(unit, settings))
    else:
        required = bool(form.second_factor_required)
        settled = InstallationData.with_environment(required, form.admin_addresses, settings)
    return View(SimpleNamespace(settings=settled, own_address=ctx.address, public_url=settings.public_url))


async def _change(ctx: RequestContext, call: PageCall[SettingsForm]) -> View | Answer[None]:
    form = call.fields
    stored = installation_state.stored_form(", ".join(form.admin_addresses.replace(",", " ").split()))
    required = bool(form.second_factor_required)
    await ctx.services.store.write(lambda unit: installation_state.change_settings(unit, ctx, required, stored))
    return flash.after(ctx, SETTINGS_PATH, "saved")


LICENCE_PATH = f"{ADMIN_OVERVIEW}/licence"
_LICENCE_TEMPLATE = "installation/licence.html"
_LICENCE_DONE = {"installed": _("License key installed.")}
_LONGEST = 20_000
LICENCE_STATES = {
    State.NOT_NEEDED: (_("Not required"), "plain"),
    State.MISSING: (_("None installed"), "bad"),
    State.VALID: (_("Valid"), "good"),
    State.GRACE: (_("Expired, in grace period"), "note"),
    State.EXPIRED: (_("Expired"), "bad"),
}


class LicenceForm(msgspec.Struct, frozen=True, rename="camel"):
    """The form of the license. ``license_key``: pasted, or read from a file."""

    license_key: Annotated[str, Meta(max_length=_LONGEST)] = ""


async def _show_licence(ctx: RequestContext, call: PageCall[LicenceForm | None]) -> View | Answer[None]:
    overview = await ctx.services.licence.overview()
    state, badge = LICENCE_STATES[overview.status.state]
    view = SimpleNamespace(
        licence=LicenceData.at(overview, ctx.now),
        state=state,
        badge=badge,
        warning=licence.warning(overview.status, ctx.now),
        is_set_back=overview.status.is_set_back,
        typed=call.fields.license_key if call.fields else "",
    )
    return View(view)


async def _install(ctx: RequestContext, call: PageCall[LicenceForm]) -> View | Answer[None]:
    if not call.fields.license_key.strip():
        raise ValidationError(details=[("licenseKey", _("Paste the license key, or choose its file"))])
    await licence_watch.install(ctx, call.fields.license_key)
    return flash.after(ctx, LICENCE_PATH, "installed")


KEYS_PATH = f"{ADMIN_OVERVIEW}/keys"
_SIZE = 100
_KEYS_TEMPLATE = "installation/keys.html"
_PURPOSES = {"": _("All purposes"), **{each.value: each.title for each in Purpose}}
DONE = {
    "rotated": _("Keys rotated. Earlier keys verify existing tokens until they expire."),
    "retired": _("Key retired. Its existing tokens stay valid until they expire."),
    "at-once": _("Key revoked. Everything that it signed is invalid."),
}
#: Purposes of keys that sign for programs and apps; no session depends on them.
_NO_SESSION = (Purpose.SERVICE, *tokens.OF_APPS.values())
Text = fields.TypedToken


class KeysQuery(msgspec.Struct, frozen=True):
    purpose: Text = ""
    after: Annotated[str, Meta(max_length=4096)] = ""


class KeyForm(msgspec.Struct, frozen=True):
    """The form of the keys. ``act``: rotate the keys of a ``purpose``, or retire the ``key``, immediately if it might
    be stolen."""

    act: Text = ""
    purpose: Text = ""
    key: Text = ""


async def _show_keys(ctx: RequestContext, call: PageCall[KeysQuery]) -> View | Answer[None]:
    """Shows the keys without their secrets. After an error, shows the list from its beginning."""
    asked = call.fields if isinstance(call.fields, KeysQuery) else KeysQuery()
    purpose = one_of(asked.purpose, _PURPOSES)
    filters = Filters("purpose" if purpose else None, of_purpose=purpose, now=ctx.now)

    def read(unit: SystemUnit) -> tuple[list[ListedKey], str | None]:
        return tokens.LISTING.read(unit, _SIZE, asked.after, "CREATED_DESC", filters)

    found, goes_on = await ctx.services.store.read(read)
    return View(
        SimpleNamespace(
            rows=tuple(KeyData.at(one, ctx.now) for one in found),
            purpose=purpose,
            purposes=_PURPOSES,
            chosen=call.fields.purpose,
            first=address(KEYS_PATH, purpose=purpose) if asked.after else "",
            next=address(KEYS_PATH, purpose=purpose, after=goes_on) if goes_on else "",
        )
    )


async def _confirm(ctx: RequestContext, call: PageCall[KeyForm]) -> Confirmation | None:
    if call.fields.act != "at-once":
        return None

    def work(unit: SystemUnit) -> Confirmation:
        key = existing(tokens.find_listed_key(unit, call.fields.key))
        purpose = Purpose(key.purpose)
        counted = installation_state.read_counts(unit, ctx.now)
        many = counted.admin_sessions if key.purpose.startswith("admin-") else counted.open_sessions
        affected = several("Affects up to %(number)d open session.", "Affects up to %(number)d open sessions.", many)
        effects = (*(() if purpose in _NO_SESSION else (affected,)), purpose.voids)
        return Confirmation(_("Revoke key %(name)s now?"), effects, _("Revoke key"), name=key.id)

    return await ctx.services.store.read(work)


async def _act(ctx: RequestContext, call: PageCall[KeyForm]) -> View | Answer[None]:
    form = call.fields
    if form.act == "rotate" and form.purpose in _PURPOSES:
        await signing_keys.rotate_now(ctx, [Purpose(form.purpose)] if form.purpose else tuple(Purpose))
        return flash.after(ctx, KEYS_PATH, "rotated")
    if form.act not in ("retire", "at-once"):
        raise ValidationError(reason="unknown action")
    await signing_keys.retire_now(ctx, form.key, at_once=form.act == "at-once")
    return flash.after(ctx, KEYS_PATH, "at-once" if form.act == "at-once" else "retired")


ROUTES = (
    admin_page(
        "GET", SETTINGS_PATH, _show_settings, _SETTINGS_TEMPLATE, "Requirements for system admins", said=_SETTINGS_DONE
    ),
    admin_page(
        "POST", SETTINGS_PATH, _change, _SETTINGS_TEMPLATE, "Require a second factor, or list allowed addresses"
    ),
    admin_page("GET", LICENCE_PATH, _show_licence, _LICENCE_TEMPLATE, "The server's license", said=_LICENCE_DONE),
    admin_page(
        "POST",
        LICENCE_PATH,
        _install,
        _LICENCE_TEMPLATE,
        "Install a license key",
        upload="licenseFile",
        upload_bytes=_LONGEST,
        upload_into="licenseKey",
    ),
    admin_page("GET", KEYS_PATH, _show_keys, _KEYS_TEMPLATE, "The signing keys", said=DONE),
    admin_page("POST", KEYS_PATH, _act, _KEYS_TEMPLATE, "Rotate signing keys, or retire one", confirms=_confirm),
)
