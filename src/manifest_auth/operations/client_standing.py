"""The state of a client, and what its administrators have to settle, as of now."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import licence, providers, tenants
from manifest_auth.accounts import users
from manifest_auth.licence import Overview, Seats, State
from manifest_auth.permissions import Role
from manifest_auth.providers import Provider
from manifest_auth.runtime.sealing import CannotOpen
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, TenantUnit
from manifest_auth.tenants.claims import Claim, directories, domains


class ProviderStanding(NamedTuple):
    """``title``: as pages show it; ``opens``: the secret keys open its secrets; ``reaches_admins``: an Admin
    saved it last."""

    id: int
    name: str
    title: str
    is_on: bool
    opens: bool
    reaches_admins: bool


class ClientStanding(NamedTuple):
    """``claims``: all that the client has on domains; ``waiting_directories``: that nobody proved yet;
    ``unconfirmed``: addresses that count for no Admin yet; ``admins``: how many can act, two standing for more."""

    claims: list[Claim]
    waiting_directories: list[str]
    providers: list[ProviderStanding]
    unconfirmed: int
    admins: int
    sends_mail: bool
    licence: Overview
    licence_warning: str

    @property
    def seats_free(self) -> Seats | None:
        """None where no licence is asked for, or none is installed."""
        held, used = self.licence.status.licence, self.licence.used
        return licence.free(held.seats, used) if held is not None and used is not None else None

    @property
    def is_licence_over(self) -> bool:
        return self.licence.status.state in (State.MISSING, State.GRACE, State.EXPIRED)


async def read(ctx: RequestContext) -> ClientStanding:
    """The state of the caller's client."""
    overview = await ctx.services.licence.overview()
    return await ctx.store.read(lambda unit: _read(unit, ctx, overview))


def _read(unit: TenantUnit, ctx: RequestContext, overview: Overview) -> ClientStanding:
    settings = tenants.settings_of(tenants.get(unit, unit.tenant_id).settings)
    every_claim, _ = domains.LISTING.read(unit, 100, "", "ID", Filters())
    waiting, _ = directories.LISTING.read(unit, 100, "", "DIRECTORY", Filters("state", of_state=directories.PENDING))
    admins, _ = users.LISTING.read(unit, 2, "", "ID", Filters("role", "active", role=Role.ADMIN.bit))
    return ClientStanding(
        claims=every_claim,
        waiting_directories=[one.directory for one in waiting],
        providers=[_provider(ctx, one) for one in providers.list_all(unit)],
        unconfirmed=len(settings.unconfirmed.allowed_origins) + len(settings.unconfirmed.return_addresses),
        admins=len(admins),
        sends_mail=ctx.services.mail_queue.is_set_up,
        licence=overview,
        licence_warning=licence.warning(overview.status, ctx.now),
    )


def _provider(ctx: RequestContext, provider: Provider) -> ProviderStanding:
    try:
        providers.open_secrets(ctx.services.sealer, provider)
        opens = True
    except CannotOpen:
        opens = False
    is_on, reaches = provider.disabled_at is None, bool(provider.reaches_admins)
    title = provider.display_name or provider.name
    return ProviderStanding(
        id=provider.id, name=provider.name, title=title, is_on=is_on, opens=opens, reaches_admins=reaches
    )
