"""``/api/admin/status`` and ``/api/admin/settings``: the installation's status, and settings that can be changed."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth import __version__
from manifest_auth.errors import Conflict, ValidationError
from manifest_auth.http import AUTH_LIMIT, Access, Call, Route, Time, Wire
from manifest_auth.operations import counts, installation_settings, last_backup
from manifest_auth.operations.counts import CountsData
from manifest_auth.operations.installation_settings import InstallationSettings
from manifest_auth.runtime.settings import variable
from manifest_auth.services import RequestContext
from manifest_auth.store.migrate import HEAD
from manifest_auth.text.canonical import when
from manifest_auth.text.models import ErrorCollector


class StatusData(Wire, frozen=True):
    """``uptime``: of the answering process, in seconds; ``lastBackupAt``: the moment of the last recorded backup, null
    when there is none."""

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
    """Members that are left out stay as they are. ``adminAddresses``: networks that may call the admin routes, comma
    separated, your own included; empty: only the environment's limit. The environment's settings may be sent unchanged,
    and cannot be changed here."""

    second_factor_required: bool | UnsetType = UNSET
    admin_addresses: Annotated[str, Meta(max_length=2000)] | UnsetType = UNSET
    environment_admin_addresses: Annotated[str, _READ] | UnsetType = UNSET
    client_deletion_days: Annotated[int, _READ] | UnsetType = UNSET
    client_deletion_audit: Annotated[str, _READ] | UnsetType = UNSET


class InstallationData(Wire, frozen=True):
    """``adminAddresses``: set by system admins. ``environmentAdminAddresses``, which applies as well,
    ``clientDeletionDays`` and ``clientDeletionAudit`` are settings of the environment."""

    second_factor_required: bool
    admin_addresses: str
    environment_admin_addresses: str
    client_deletion_days: int
    client_deletion_audit: str


_ENVIRONMENT = {
    "environment_admin_addresses": "admin_addresses",
    "client_deletion_days": "client_deletion_days",
    "client_deletion_audit": "client_deletion_audit",
}


async def _status(ctx: RequestContext, call: Call[None]) -> StatusData:
    services, settings = ctx.services, ctx.services.settings
    status = await services.licence.status()
    backup = await last_backup.read_time(services.store)
    services.metrics.backed_up(backup or 0)  # otherwise updated every 20 seconds
    counted = await services.store.read(lambda unit: counts.read(unit, ctx.now))
    return StatusData(
        version=__version__,
        schema=HEAD,  # of this program; the store's may be newer
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


def _data(ctx: RequestContext, settled: InstallationSettings) -> InstallationData:
    environment = {name: getattr(ctx.services.settings, setting) for name, setting in _ENVIRONMENT.items()}
    return InstallationData(*settled, **environment)


async def _read(ctx: RequestContext, call: Call[None]) -> InstallationData:
    return _data(ctx, await ctx.services.store.read(installation_settings.read))


async def _change(ctx: RequestContext, call: Call[InstallationBody]) -> InstallationData:
    required, networks = _asked(ctx, call.body)
    return _data(
        ctx, await ctx.services.store.write(lambda unit: installation_settings.change(unit, ctx, required, networks))
    )


def _asked(ctx: RequestContext, body: InstallationBody) -> tuple[bool | None, str | None]:
    """Whether a second factor is required, and the networks as they are stored; None: unchanged. Raises
    ValidationError, also for a body that can change nothing: a success would suggest that something changed."""
    given = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
    if not given:
        raise ValidationError("Name a setting to change: secondFactorRequired or adminAddresses")
    networks, stored = given.get("admin_addresses"), None
    with ErrorCollector() as each:
        for name, setting in _ENVIRONMENT.items():
            with each:
                if name in given and given[name] != getattr(ctx.services.settings, setting):
                    wire = InstallationBody.__struct_encode_fields__[InstallationBody.__struct_fields__.index(name)]
                    raise ValidationError(details=[(wire, f"Is set in the environment: {variable(setting)}")])
        if networks is not None:
            with each:
                stored = installation_settings.stored_form(networks)
    return given.get("second_factor_required"), stored


ROUTES = (
    Route("GET", "/api/admin/status", _status, Access.ADMIN,
          "Status of the installation: release, store, licence, counts"),
    Route("GET", "/api/admin/settings", _read, Access.ADMIN, "The installation's settings"),
    Route("PATCH", "/api/admin/settings", _change, Access.ADMIN,
          "Change whether system admins need a second factor, and from which networks they may call",
          limit=AUTH_LIMIT, refusals=(Conflict,)),
)  # fmt: skip
