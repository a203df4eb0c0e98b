"""``provider test`` for Microsoft's two kinds: the directory, our secret there, the environment, Graph.

Nobody signs in for it, so what is asked is asked without a token: Dataverse and Graph then say who they are, and
Dataverse also whose tokens it takes.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from manifest_auth import oidc, providers
from manifest_auth.context import Context
from manifest_auth.errors import SsoFailed
from manifest_auth.microsoft import Cloud
from manifest_auth.oidc import Finding
from manifest_auth.outgoing import Unreachable
from manifest_auth.providers import DynamicsSettings, EntraSettings, Provider
from manifest_auth.sign_in import directory, dynamics

_AUTHORITY = re.compile(r"authorization_uri=\"?https://[^/,\s\"]+/([0-9a-fA-F-]{36})/")


async def examine(ctx: Context, provider: Provider) -> AsyncIterator[Finding]:
    """The findings, one after the other. Changes nothing."""
    settings = provider.rules.dynamics or provider.rules.entra
    assert settings is not None
    try:
        cloud = directory.cloud_of(ctx, settings)
    except SsoFailed:
        yield Finding("bad", f"This installation has no Microsoft cloud named {settings.cloud!r}")
        return
    if isinstance(settings, DynamicsSettings):
        found = _dynamics(ctx, provider, settings, cloud)
    else:
        found = _entra(ctx, provider, settings, cloud)
    async for finding in found:
        yield finding


async def _dynamics(
    ctx: Context, provider: Provider, settings: DynamicsSettings, cloud: Cloud
) -> AsyncIterator[Finding]:
    # The scope of the environment is not in the directory's description: the environment is asked instead.
    registration = dynamics.registration_of(ctx, provider)._replace(scopes=("openid", "profile", "email"))
    for found in await ctx.house.oidc.examine(registration, dynamics.callback_of(ctx)):
        yield found
    yield await _environment(ctx, settings, cloud)


async def _environment(ctx: Context, settings: DynamicsSettings, cloud: Cloud) -> Finding:
    address = f"{cloud.called_at(settings.organization)}/api/data/v9.2/WhoAmI"
    try:
        reply = await ctx.house.outgoing.get(address, call="dataverse")
    except Unreachable as error:
        return Finding("bad", f"The environment {settings.organization} cannot be reached: {error}.")
    named = _AUTHORITY.search(reply.headers.get("www-authenticate", ""))
    if reply.status != 401 or named is None:
        return Finding("note", f"The environment {settings.organization} answers with status {reply.status}.")
    if named[1].lower() != settings.directory:
        return Finding("bad", f"The environment {settings.organization} is of the directory {named[1].lower()}.")
    return Finding("ok", f"The environment {settings.organization} is of this directory.")


async def _entra(ctx: Context, provider: Provider, settings: EntraSettings, cloud: Cloud) -> AsyncIterator[Finding]:
    if settings.client_id and settings.ask_graph:
        secret = providers.open_secrets(ctx.house.sealer, provider).client_secret
        issuer = cloud.issuer_v2(settings.directory)
        registration = oidc.Registration(issuer, settings.client_id, secret or "", authentication="post")
        for found in await ctx.house.oidc.examine(registration, dynamics.callback_of(ctx)):
            if "PKCE" not in found.text:  # no browser is sent there
                yield found
    else:
        yield await _directory(ctx, settings, cloud)
    if settings.graph_tokens or settings.ask_graph:
        yield await _graph(ctx, cloud)
    if settings.graph_tokens and provider.rules.group_roles:
        yield Finding("note", "Tokens for Graph carry no groups: whoever comes with one has the default roles alone.")
    if settings.client_id and not settings.scopes:
        yield Finding("note", "Tokens for our application count with any of its scopes: entra.scopes is empty.")


async def _directory(ctx: Context, settings: EntraSettings, cloud: Cloud) -> Finding:
    address = f"{cloud.login}/{settings.directory}/v2.0/.well-known/openid-configuration"
    try:
        reply = await ctx.house.outgoing.get(address, call="discovery")
    except Unreachable as error:
        return Finding("bad", f"The directory's description cannot be fetched: {error}.")
    if reply.status != 200:
        return Finding("bad", f"There is no directory {settings.directory} at {cloud.login}.")
    return Finding("ok", f"The directory is at {cloud.login}.")


async def _graph(ctx: Context, cloud: Cloud) -> Finding:
    try:
        reply = await ctx.house.outgoing.get(f"{cloud.graph}/v1.0/me", call="graph")
    except Unreachable as error:
        return Finding("bad", f"Microsoft Graph cannot be reached: {error}.")
    if reply.status != 401:
        return Finding("note", f"Microsoft Graph at {cloud.graph} answers with status {reply.status} to no token.")
    return Finding("ok", f"Microsoft Graph answers at {cloud.graph}.")
