"""Tests a provider and reports the findings."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from manifest_auth.protocols.oidc import Finding
from manifest_auth.providers import Provider
from manifest_auth.runtime.outgoing import LimitedOutgoing, NoPublicAddress, Outgoing
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers.kinds import KINDS


async def diagnose(ctx: RequestContext, client: str, provider: Provider, *, by_admin: bool) -> AsyncIterator[Finding]:
    """Yields the findings, one after the other. Changes nothing. ``client``: identifier of the provider's client.
    ``by_admin``: the caller ranks as an Admin; for others no address is called that is not public, since a test must
    not be a scan of the operator's network."""
    try:
        async with outgoing_for(ctx, by_admin=by_admin) as outgoing:
            async for found in _diagnose(ctx, client, provider, outgoing):
                yield found
    except NoPublicAddress as error:
        yield Finding("unknown", f"{error}. Only an Admin can test a server that is not on the public Internet.")


def verdict(findings: Sequence[Finding]) -> bool | None:
    """Whether people can sign in, by the findings of a test; None where it cannot be told."""
    levels = {finding.level for finding in findings}
    return False if "bad" in levels else None if "unknown" in levels else True


@contextlib.asynccontextmanager
async def outgoing_for(ctx: RequestContext, *, by_admin: bool) -> AsyncIterator[Outgoing]:
    """Calls on behalf of who sets a provider up; they raise NoPublicAddress where only an Admin may call."""
    services = ctx.services
    outgoing = services.outgoing if by_admin else LimitedOutgoing(services.settings, services.outgoing)
    try:
        yield outgoing
    finally:
        if outgoing is not services.outgoing:
            await outgoing.close()


async def _diagnose(ctx: RequestContext, client: str, provider: Provider, outgoing: Outgoing) -> AsyncIterator[Finding]:
    if provider.disabled_at is not None:
        yield Finding("note", "The provider is switched off here")
    if not provider.reaches_admins:
        yield Finding("note", "A User Admin changed it last: it opens no Admin's account until an Admin saves it")
    async for found in KINDS[provider.kind].diagnose(ctx, client, provider, outgoing):
        yield found
    rules = provider.rules
    if rules.second_factor == "claims" and not (rules.amr or rules.acr):
        yield Finding(
            "note", "No claim is accepted as a second factor: amr and acr are empty, so we ask every time", "rules"
        )
    if not rules.group_roles and not rules.default_roles and rules.create_users:
        yield Finding("bad", "It creates users but gives no role: give roles by group, or to everyone", "rules")
