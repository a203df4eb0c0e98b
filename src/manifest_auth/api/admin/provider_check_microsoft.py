"""``provider test`` for Microsoft's two kinds: what they have to be asked for, and what their settings do not go well
with."""

from __future__ import annotations

from collections.abc import AsyncIterator

from manifest_auth import providers
from manifest_auth.errors import SsoFailed
from manifest_auth.protocols.microsoft import Cloud, diagnose
from manifest_auth.protocols.oidc import Finding
from manifest_auth.providers import DynamicsSettings, EntraSettings, Provider
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import dynamics, microsoft_person


async def findings(ctx: RequestContext, provider: Provider) -> AsyncIterator[Finding]:
    """One after the other. Changes nothing."""
    settings = provider.rules.dynamics or provider.rules.entra
    assert settings is not None
    try:
        cloud = microsoft_person.cloud_of(ctx, settings)
    except SsoFailed:
        yield Finding("bad", f"This installation has no Microsoft cloud named {settings.cloud!r}.")
        return
    name = ctx.services.microsoft.clouds.name_of(settings.cloud)
    yield Finding("ok", f"The cloud is {name}: login at {cloud.login}, Graph at {cloud.graph}.")
    for found in await diagnose.directory(ctx.services.outgoing, cloud, settings.directory, provider.tenant_id):
        yield found
    secret = providers.open_secrets(ctx.services.sealer, provider).client_secret
    of_kind = (
        _dynamics(ctx, provider.tenant_id, settings, cloud, secret)
        if isinstance(settings, DynamicsSettings)
        else _entra(ctx, provider.tenant_id, settings, cloud, secret)
    )
    async for found in of_kind:
        yield found
    if isinstance(settings, EntraSettings) and settings.graph_tokens and provider.rules.group_roles:
        yield Finding("note", "Tokens for Graph carry no groups: whoever comes with one has the default roles alone.")


async def _dynamics(
    ctx: RequestContext, tenant_id: int, settings: DynamicsSettings, cloud: Cloud, secret: str | None
) -> AsyncIterator[Finding]:
    outgoing, callback = ctx.services.outgoing, dynamics.callback_of(ctx)
    grant = {**diagnose.CODE, "redirect_uri": callback}
    yield await diagnose.application(outgoing, cloud, settings.directory, settings.client_id, secret, grant, tenant_id)
    yield await diagnose.environment(outgoing, cloud, settings.organization, settings.directory, tenant_id)
    permission = "and the delegated permission user_impersonation of Dataverse (Dynamics CRM)"
    yield Finding("note", f"The app registration needs the redirect address {callback} {permission}.")


async def _entra(
    ctx: RequestContext, tenant_id: int, settings: EntraSettings, cloud: Cloud, secret: str | None
) -> AsyncIterator[Finding]:
    outgoing = ctx.services.outgoing
    if settings.graph_tokens or settings.ask_graph:
        yield await diagnose.graph(outgoing, cloud, tenant_id)
    if not settings.client_id:
        if settings.ask_graph:
            yield Finding("note", "askGraph changes nothing without clientId: about a token for Graph, Graph is asked.")
        return
    audiences = ", ".join(sorted(microsoft_person.accepted_by(ctx, settings).audiences))
    yield Finding("ok", f"Tokens for our application are those with the audience {audiences}.")
    if settings.ask_graph and secret is None:
        words = "the caller's token is exchanged for one for Graph, which takes our application's client secret"
        yield Finding("bad", f"With askGraph {words}: without it every token for our application is refused.")
    elif settings.ask_graph:
        yield await diagnose.application(
            outgoing,
            cloud,
            settings.directory,
            settings.client_id,
            secret,
            {**diagnose.TOKEN, "scope": f"{cloud.graph}/User.Read"},
            tenant_id,
        )
    elif secret is not None:
        yield Finding("note", "The client secret is used for nothing while askGraph is off.")
    if not settings.scopes:
        yield Finding("note", "Tokens for our application count with any of its scopes: entra.scopes is empty.")
