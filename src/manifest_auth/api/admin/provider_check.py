"""Talks to a provider and says in words what is wrong."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Literal

from manifest_auth.api.admin import provider_check_microsoft
from manifest_auth.protocols.oidc import Finding
from manifest_auth.providers import Provider, SamlSettings
from manifest_auth.runtime.outgoing import Discreet, Outgoing, Unreachable, Withheld
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import oidc
from manifest_auth.text.canonical import when

_SOON_MS = 30 * 86_400_000


async def examine(ctx: RequestContext, client: str, provider: Provider, *, by_admin: bool) -> AsyncIterator[Finding]:
    """The findings, one after the other. Changes nothing. ``client``: identifier of the provider's client.
    ``by_admin``: an Admin or a system admin asks; anyone else is told of addresses that are not public only whether a
    server answers there, since a test must not be a look around in the operator's network."""
    services = ctx.services
    outgoing = services.outgoing if by_admin else Discreet(services.settings, services.outgoing)
    try:
        async for found in _examine(ctx, client, provider, outgoing):
            yield found
    except Withheld as withheld:
        level: Literal["note", "bad"] = "note" if withheld.reached else "bad"
        yield Finding(level, f"{withheld}. Of a server that is not on the public Internet an Admin is told more.")
    finally:
        if outgoing is not services.outgoing:
            await outgoing.close()


async def _examine(ctx: RequestContext, client: str, provider: Provider, outgoing: Outgoing) -> AsyncIterator[Finding]:
    if provider.disabled_at is not None:
        yield Finding("note", "The provider is switched off here")
    if not provider.reaches_admins:
        yield Finding("note", "A User Admin changed it last: it opens no Admin's account until an Admin saves it")
    saml = provider.rules.saml
    if provider.kind == "oidc":
        registration, addresses = oidc.registration_of(ctx, provider), oidc.callbacks_of(ctx, client, provider)
        examined = ctx.services.oidc.examine(registration, addresses, ctx.services.random, provider.tenant_id, outgoing)
        async for found in examined:
            yield found
    elif saml is None:
        # Where Microsoft's clouds are, the operator says.
        async for found in provider_check_microsoft.findings(ctx, provider):
            yield found
    else:
        for finding in _certificates(ctx, saml):
            yield finding
        yield await _sign_on(outgoing, provider.tenant_id, saml)
    if not provider.rules.group_roles and not provider.rules.default_roles and provider.rules.create_users:
        yield Finding("bad", "It creates users but gives no role: set groupRoles or defaultRoles")


def _certificates(ctx: RequestContext, settings: SamlSettings) -> list[Finding]:
    from manifest_auth.protocols import saml

    found = []
    usable = False
    for text in settings.certificates:
        fact = saml.certificate_facts(base64.b64decode(text))
        name, end = f"Certificate {fact.subject} ({fact.fingerprint[:16]}…)", when(fact.not_after)[:10]
        if fact.not_after <= ctx.now:
            accepted = settings.expired_certificates == "accept"
            usable = usable or accepted
            what = "still counts, as expiredCertificates says" if accepted else "signatures by it are refused"
            found.append(Finding("note", f"{name} expired on {end}: {what}"))
        elif fact.not_before > ctx.now:
            found.append(Finding("note", f"{name} is not valid before {when(fact.not_before)[:10]}"))
        else:
            usable = True
            soon = fact.not_after - ctx.now < _SOON_MS
            text = (
                f"{name} expires on {end}: pin its successor beside it now" if soon else f"{name} is good until {end}"
            )
            found.append(Finding("note" if soon else "ok", text))
    if not usable:
        found.append(Finding("bad", "No pinned certificate counts today: every response will be refused"))
    return found


async def _sign_on(outgoing: Outgoing, tenant_id: int, settings: SamlSettings) -> Finding:
    address = settings.post_url if settings.binding == "post" else settings.redirect_url
    try:
        reply = await outgoing.get(address, deadline=outgoing.deadline(tenant_id), call="other")
    except Unreachable as error:
        where = "people's browsers must reach it"
        if "redirect" in str(error):  # a sign-on page may well send the browser on
            return Finding("ok", f"The sign-on address answers; {where}")
        return Finding("note", f"The sign-on address cannot be reached from this server ({error}); {where}")
    said = f"The sign-on address answers with status {reply.status}"  # it may well want more than it was sent
    if reply.status in (404, 410):
        return Finding("note", f"{said}: is it the right one?")
    return Finding("ok", said) if reply.status < 500 else Finding("note", said)
