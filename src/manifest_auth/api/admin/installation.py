"""Routes of the installation for system admins: status, settings, signing keys, license, and rate limits."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth import __version__
from manifest_auth.api.admin import lists
from manifest_auth.audit.acts import NOTHING, Act
from manifest_auth.errors import Conflict, LicenseInvalid, NotFound, ValidationError
from manifest_auth.http import AUTH_LIMIT, Access, Call, Items, Route, Time, Wire, or_none
from manifest_auth.licence import LicenceData
from manifest_auth.maintenance import clear_throttles, installation_state, last_backup, licence_watch, signing_keys
from manifest_auth.maintenance.installation_state import ENVIRONMENT, CountsData, InstallationData
from manifest_auth.runtime.revisions import HEAD
from manifest_auth.runtime.settings import variable
from manifest_auth.services import RequestContext
from manifest_auth.sessions import tokens
from manifest_auth.sessions.tokens import KeyData, Purpose, PurposeName
from manifest_auth.store import Filters
from manifest_auth.text import fields
from manifest_auth.text.canonical import ADDRESS, when
from manifest_auth.text.models import ErrorCollector, having, matching, none_of
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import ThrottleData


class StatusData(Wire, frozen=True):
    """``uptime``: how long the process that responds has been running, in seconds; ``lastBackupAt``: when the last
    backup was recorded, or null."""

    version: str
    schema: str
    store: str
    public_url: str
    now: Time
    started_at: Time
    uptime: int
    workers: int
    hash_workers: int
    deployment: str
    license_state: str
    mail: bool
    last_backup_at: Time | None
    counts: CountsData


_READ = Meta(extra_json_schema={"readOnly": True})


class InstallationBody(msgspec.Struct, frozen=True, rename="camel"):
    """Omitted members don't change. ``adminAddresses``: networks that can call the admin routes, separated by commas.
    They must include your own. If empty, only the environment's limit applies. You can send the environment's settings,
    but not change them."""

    second_factor_required: bool | UnsetType = UNSET
    admin_addresses: Annotated[str, Meta(max_length=2000)] | UnsetType = UNSET
    environment_admin_addresses: Annotated[str, _READ] | UnsetType = UNSET
    client_deletion_days: Annotated[int, _READ] | UnsetType = UNSET
    client_deletion_audit: Annotated[str, _READ] | UnsetType = UNSET


async def _status(ctx: RequestContext, call: Call[None]) -> StatusData:
    services, settings = ctx.services, ctx.services.settings
    status = await services.licence.status()
    backup = await last_backup.read_time(services.store)
    services.metrics.backed_up(backup or 0)  # otherwise updated every 20 seconds
    counted = await services.store.read(lambda unit: installation_state.read_counts(unit, ctx.now))
    return StatusData(
        version=__version__,
        schema=HEAD,  # this program's schema; the database's can be newer
        store="postgresql" if settings.on_postgres else "sqlite",
        public_url=settings.public_url,
        now=when(ctx.now),
        started_at=when(services.started_at),
        uptime=max(0, ctx.now - services.started_at) // 1000,
        workers=settings.workers,
        hash_workers=services.hasher.workers,
        deployment=settings.deployment,
        license_state=status.state.value,
        mail=services.mail.is_set_up,
        last_backup_at=None if backup is None else when(backup),
        counts=counted,
    )


async def _read_settings(ctx: RequestContext, call: Call[None]) -> InstallationData:
    settings = ctx.services.settings
    return await ctx.services.store.read(lambda unit: installation_state.read_settings(unit, settings))


async def _change(ctx: RequestContext, call: Call[InstallationBody]) -> InstallationData:
    required, networks = _asked(ctx, call.body)
    return await ctx.services.store.write(
        lambda unit: installation_state.change_settings(unit, ctx, required, networks)
    )


def _asked(ctx: RequestContext, body: InstallationBody) -> tuple[bool | None, str | None]:
    """Returns whether a second factor is required, and the networks in their stored form; None means unchanged. Raises
    ValidationError, also for a body that changes nothing, because a success would suggest otherwise."""
    given = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
    if not given:
        raise ValidationError("Set secondFactorRequired or adminAddresses")
    networks, stored = given.get("admin_addresses"), None
    with ErrorCollector() as each:
        for name, setting in ENVIRONMENT.items():
            with each:
                if name in given and given[name] != getattr(ctx.services.settings, setting):
                    wire = InstallationBody.__struct_encode_fields__[InstallationBody.__struct_fields__.index(name)]
                    raise ValidationError(details=[(wire, f"Set in the environment: {variable(setting)}")])
        if networks is not None:
            with each:
                stored = installation_state.stored_form(networks)
    return given.get("second_factor_required"), stored


_Purpose = Annotated[Literal["", PurposeName], Meta(description="Only keys for this purpose.")]
_KEYS = lists.query(
    tokens.LISTING.sorts, "CREATED_DESC", q=False, purpose=_Purpose, state=("signing", "verifying", "expired")
)


class RotateBody(msgspec.Struct, frozen=True):
    purpose: Annotated[PurposeName, Meta(description="Default: all purposes.")] | UnsetType = UNSET


class RetireBody(msgspec.Struct, frozen=True, rename="camel"):
    """``atOnce``: whether tokens that the key signed become void immediately. Use it if the key might be
    compromised."""

    at_once: bool = False


class KeysRotated(Wire, frozen=True):
    rotated: tuple[PurposeName, ...]


async def _list_keys(ctx: RequestContext, call: Call[None]) -> Items[KeyData]:
    asked = call.parameters
    filters = Filters("purpose" if asked.purpose else None, asked.state, of_purpose=asked.purpose, now=ctx.now)
    return await ctx.services.store.read(
        lambda unit: lists.page(lambda key: KeyData.at(key, ctx.now), unit, tokens.LISTING, asked, filters)
    )


async def _rotate(ctx: RequestContext, call: Call[RotateBody]) -> KeysRotated:
    purpose = or_none(call.body.purpose)
    purposes: tuple[PurposeName, ...] = get_args(PurposeName) if purpose is None else (purpose,)
    return KeysRotated(await signing_keys.rotate_now(ctx, [Purpose(name) for name in purposes]))


async def _retire(ctx: RequestContext, call: Call[RetireBody]) -> KeyData:
    return KeyData.at(await signing_keys.retire_now(ctx, call.path["key"], at_once=call.body.at_once), ctx.now)


class LicenceBody(msgspec.Struct, frozen=True, rename="camel"):
    """Every invalid key gets the same response, so only the body's limit bounds its length."""

    license_key: Annotated[str, Meta(min_length=1)]


async def _install(ctx: RequestContext, call: Call[LicenceBody]) -> LicenceData:
    return LicenceData.at(await licence_watch.install(ctx, call.body.license_key), ctx.now)


async def _read_licence(ctx: RequestContext, call: Call[None]) -> LicenceData:
    return LicenceData.at(await ctx.services.licence.overview(), ctx.now)


class ClearBody(msgspec.Struct, frozen=True):
    """The rate limits to clear: an account of a client (`client` and `email`), a system admin (`username`), an
    `address`, or an account's attempts from one address."""

    MORE_SCHEMA: ClassVar = {
        "dependentRequired": {"client": ["email"], "email": ["client"]},
        **none_of(having("username", "email"), {"maxProperties": 0}),
    }

    client: Annotated[str, Meta(min_length=1, max_length=63)] | UnsetType = UNSET
    email: fields.Email | UnsetType = UNSET
    username: Annotated[str, fields.USERNAME.meta] | UnsetType = UNSET
    address: Annotated[str, Meta(min_length=2, max_length=45, extra_json_schema=matching(ADDRESS))] | UnsetType = UNSET


class Cleared(Wire, frozen=True):
    cleared: int


async def _list_throttles(ctx: RequestContext, call: Call[None]) -> Items[ThrottleData]:
    return await ctx.services.store.read(
        lambda unit: lists.listed(unit, throttle.LISTING, call.parameters, Filters(now=ctx.now))
    )


async def _clear_all(ctx: RequestContext, call: Call[None]) -> Cleared:
    return Cleared(await ctx.services.store.write(lambda unit: clear_throttles.clear_all(unit, ctx)))


async def _clear(ctx: RequestContext, call: Call[ClearBody]) -> Cleared:
    named = {f: str(v) for f in call.body.__struct_fields__ if (v := getattr(call.body, f)) is not UNSET}
    clear_throttles.check(named)
    return Cleared(await ctx.services.store.write(lambda unit: clear_throttles.clear(unit, ctx, named)))


_KEY_BASE = "/api/admin/keys"
_THROTTLE_BASE = "/api/admin/throttles"
_LICENCE = "/api/admin/license-on-prem"
ROUTES = (
    Route("GET", _KEY_BASE, _list_keys, Access.ADMIN, "List signing keys, without their secrets", query=_KEYS),
    Route("POST", f"{_KEY_BASE}/rotate", _rotate, Access.ADMIN,
          "Rotate signing keys; the old ones verify what they signed", limit=AUTH_LIMIT, asks=Act.KEYS),
    Route("POST", f"{_KEY_BASE}/{{key}}/retire", _retire, Access.ADMIN,
          "Retire a key: it no longer signs, and with `atOnce` no longer verifies", limit=AUTH_LIMIT,
          refusals=(NotFound, Conflict), asks=Act.KEYS),
    Route("GET", _THROTTLE_BASE, _list_throttles, Access.ADMIN, "List active rate limits",
          query=lists.query(throttle.LISTING.sorts, "ALLOWED_DESC", q=False)),
    Route("DELETE", _THROTTLE_BASE, _clear_all, Access.ADMIN, "Clear all rate limits", asks=NOTHING),
    Route("POST", f"{_THROTTLE_BASE}/clear", _clear, Access.ADMIN, "Clear the rate limits of an account or an address",
          limit=AUTH_LIMIT, refusals=(NotFound,), asks=NOTHING),
    Route("GET", "/api/admin/status", _status, Access.ADMIN,
          "Get the status of the installation: release, database, license, counts"),
    Route("GET", "/api/admin/settings", _read_settings, Access.ADMIN, "Get the installation's settings"),
    Route("PATCH", "/api/admin/settings", _change, Access.ADMIN,
          "Change whether system admins need a second factor, and the networks that they can call from",
          limit=AUTH_LIMIT, refusals=(Conflict,), asks=Act.INSTALLATION),
    Route("POST", _LICENCE, _install, Access.ADMIN, "Install an on-premise license key", ignore_unknown=True,
          refusals=(LicenseInvalid,), operation="adminInstallLicense", asks=Act.LICENCE),
    Route("GET", _LICENCE, _read_licence, Access.ADMIN, "Get the state of the license", operation="adminGetLicense"),
)  # fmt: skip
