"""Registry of all kinds of identity providers, and the choice of a provider for an email address or a start."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from manifest_auth import providers, tenants
from manifest_auth.accounts import one_time_links
from manifest_auth.accounts.one_time_links import Link, Purpose
from manifest_auth.errors import AccountDisabled, NotFound, Replay, SsoFailed, ValidationError
from manifest_auth.providers import KindSettings, Provider, ProviderOption
from manifest_auth.providers.settings import settings_of as stored_settings_of
from manifest_auth.providers.sign_in_flows import FlowRequest
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import exchange_codes, refusal_reasons
from manifest_auth.sign_in.providers import dynamics, entra, oidc, saml
from manifest_auth.sign_in.providers.account_matching import INVITATION_OVER
from manifest_auth.sign_in.providers.kind import Kind
from manifest_auth.sign_in.providers.provider_flow import ProviderChoice, return_address
from manifest_auth.sign_in.refusal_reasons import NO_CLIENT, SUSPENDED, SWITCHED_OFF, ClientRefusal
from manifest_auth.sign_in.return_addresses import is_web
from manifest_auth.sign_in.sign_in_metrics import counted, no_result_yet
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import Tenant
from manifest_auth.tenants.claims import domains
from manifest_auth.text.canonical import email_domain
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import REQUIRED

KINDS: dict[str, Kind[Any, Any]] = {
    kind.name: kind
    for kind in (
        oidc.KIND,
        saml.KIND,
        dynamics.KIND,
        entra.KIND,
    )
}

#: A provider's settings, with a member for each kind, as stored and as on the wire.
Settings: type[providers.Settings] = msgspec.defstruct(  # type: ignore[assignment]  # made of all kinds
    "Settings",
    [(kind.name, kind.settings | None, None) for kind in KINDS.values()],
    bases=(providers.Settings,),
    rename="camel",
    frozen=True,
    module=__name__,
)


def settings_of(provider: Provider) -> providers.Settings:
    """Returns all settings of a provider."""
    return stored_settings_of(provider.settings, Settings)


def own_settings_of(provider: Provider) -> KindSettings:
    """Returns the settings of the provider's kind."""
    return settings_of(provider).own


def start_address(ctx: RequestContext, client: str, kind: str, provider: str) -> str | None:
    """Returns the address that starts a sign-in at a provider; None for kinds without one."""
    path = KINDS[kind].start
    return f"{ctx.services.settings.public_url.rstrip('/')}{path}?client={client}&provider={provider}" if path else None


# Only the domain is read, so the response does not reveal whether an account exists.


class WaysIn(NamedTuple):
    """The available sign-in methods. ``client`` is the client's identifier, empty if none was named and no client owns
    the domain. ``password``: whether it allows passwords."""

    client: str
    password: bool
    providers: list[ProviderOption]


async def discover(ctx: RequestContext, email: str, client: str | None) -> WaysIn:
    """Returns the providers that list the domain of the address, for the client that has verified the domain. If a
    client is named and has no such provider, returns all of its providers: claims of other clients make no difference
    there."""
    domain = email_domain(email)
    return await ctx.services.store.read(lambda unit: _discover(unit, domain, client))


def _discover(unit: SystemUnit, domain: str, client: str | None) -> WaysIn:
    owning = [way for way in providers.find_by_domain(unit, domain) if KINDS[way.kind].start]
    if client is None:
        if not owning:
            return WaysIn("", True, [])
        client = owning[0].client
    tenant = tenants.find(unit, client)
    if tenant is None or tenant.suspended_at is not None:  # same response as for a missing client
        return WaysIn(client, True, [])
    client, password = tenant.identifier, tenants.settings_of(tenant.settings).password_sign_in
    own = [way for way in owning if way.client == client]
    if not own:
        listed = [p for p in providers.list_all(unit.of(tenant.id)) if p.disabled_at is None and KINDS[p.kind].start]
        own = [ProviderOption(client, p.name, p.display_name, p.kind) for p in listed]
    return WaysIn(client, password, own)


_NOT_PINNED = NO_CLIENT.also("the request names no client, and the provider's name is not pinned")
_NONE = NO_CLIENT.also("the client doesn't have this provider")
NO_PROVIDER = NO_CLIENT.also("unknown provider")
_INVITATION = INVITATION_OVER.also("invitation: unknown, used, or expired")


class StartRequest(NamedTuple):
    """The parameters of a request to start a sign-in. ``invitation`` is its token; ``invitation_id`` is the one whose
    token was sent before."""

    provider: str | None
    client: str | None
    return_to: str
    response: str
    challenge: str
    invitation: str
    devices: tuple[str, ...]
    invitation_id: int | None = None
    login_hint: str = ""


async def choose(ctx: RequestContext, kind: Kind[Any, Any], asked: StartRequest) -> ProviderChoice:
    """Returns the provider that the request means. Raises NotFound, ValidationError, SsoFailed if it is turned off, and
    AccountDisabled if the client is suspended, so that nobody signs in at the provider in vain."""
    choosing = ctx.services.store.read(lambda unit: _choose(unit, ctx, kind, asked))
    return await counted(ctx, kind.name, refusal_reasons.recorded(ctx, kind.name, choosing), no_result_yet)


def _choose(unit: SystemUnit, ctx: RequestContext, kind: Kind[Any, Any], asked: StartRequest) -> ProviderChoice:
    tenant = _client(unit, kind, asked)
    try:
        found = _of_tenant(unit.of(tenant.id), kind.name, asked.provider)
    except NotFound as missing:
        raise ClientRefusal(tenant.id, None, missing) from None
    if tenant.suspended_at is not None:
        refusal = AccountDisabled("The client is suspended, so nobody can sign in", reason=SUSPENDED)
        raise ClientRefusal(tenant.id, found.id, refusal)
    if found.disabled_at is not None:
        off = SsoFailed(_("This sign-in method is turned off"), reason=SWITCHED_OFF)
        raise ClientRefusal(tenant.id, found.id, off)
    bound = unit.of(tenant.id)
    is_invited = bool(asked.invitation) or asked.invitation_id is not None
    invitation = _invitation(bound, asked)
    if is_invited and not (invitation and invitation.is_open(Purpose.INVITATION, ctx.now)):
        replay: Replay | None = "one_time_link" if invitation is not None and invitation.used_at is not None else None
        over = SsoFailed(_("The invitation is no longer valid"), reason=_INVITATION, replay=replay)
        raise ClientRefusal(tenant.id, found.id, over)
    return_to = return_address(tenant, found, asked.return_to, asked.response)
    is_apps = asked.response == "code" and not is_web(return_to)
    challenge = exchange_codes.check_challenge(asked.challenge, is_needed=is_apps)
    request = FlowRequest(
        return_to=return_to,
        response=asked.response,
        challenge=challenge,
        link_session_id=None,
        invitation_id=invitation.id if invitation else None,
        devices=asked.devices,
    )
    return ProviderChoice(tenant, found, request)


def _invitation(unit: TenantUnit, asked: StartRequest) -> Link | None:
    if asked.invitation_id is not None:
        return one_time_links.find_by_id(unit, asked.invitation_id)
    return one_time_links.find(unit, asked.invitation) if asked.invitation else None


def _client(unit: SystemUnit, kind: Kind[Any, Any], asked: StartRequest) -> Tenant:
    """Returns the client that the request names. Otherwise, the one to which the provider's name, or the default name
    of the kind, is pinned. Raises NotFound, ValidationError."""
    if asked.client is not None:
        named = tenants.find(unit, asked.client)
        if named is None:
            raise NotFound(reason=NO_CLIENT.text)
        return named
    name = asked.provider or kind.usual_name
    meant = domains.client_of_name(unit, name) if name is not None else None
    if meant is None and asked.provider is not None:
        raise NotFound(reason=_NOT_PINNED.text)
    if meant is None:
        raise ValidationError(details=[("client", REQUIRED)])
    return meant


def _of_tenant(unit: TenantUnit, kind: str, name: str | None) -> Provider:
    if name is None:
        fitting = [p for p in providers.list_all(unit) if p.kind == kind and p.disabled_at is None]
        if len(fitting) > 1:
            raise ValidationError(details=[("provider", "Required, because the client has several")])
        if fitting:
            return fitting[0]
        raise NotFound(reason=_NONE.text)
    found = providers.find(unit, name)
    if found is None or found.kind != kind:
        raise NotFound(reason=NO_PROVIDER.text)
    return found
