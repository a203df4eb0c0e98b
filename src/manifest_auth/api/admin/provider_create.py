"""How a provider comes into being, for the routes and for the command line alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from manifest_auth import audit, providers
from manifest_auth.api.admin import provider_wire
from manifest_auth.api.admin.provider_claims import saved
from manifest_auth.audit import Event, Origin
from manifest_auth.providers import Provider, Secrets
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.text.canonical import check_name

#: Writes it, in a transaction of the client. Who does it; whether that ranks as an Admin. Raises ValidationError,
#: Conflict.
Make = Callable[[TenantUnit, RequestContext | Origin, bool], Provider]


async def prepare(ctx: RequestContext, client: str, body: Any) -> Make:
    """Judges a body, and makes the key that SAML needs, while nothing is open in the store. ``client``: its identifier.
    Raises ValidationError."""
    draft = provider_wire.draft_of(body)
    settings = provider_wire.merged(None, draft)
    provider_wire.check_addresses(ctx, settings)
    name: str = body.name
    display_name = check_name(draft.members.get("displayName") or name, "displayName")
    secrets = Secrets(client_secret=draft.secret)
    if settings.saml is not None:
        key, certificate = await provider_wire.new_key(ctx, f"{client} {name}"[:60])
        secrets = Secrets(keys=(key,), certificates=(certificate,))

    def make(unit: TenantUnit, who: RequestContext | Origin, by_admin: bool) -> Provider:
        sealer = ctx.services.sealer
        made = providers.create(unit, sealer, name, display_name, settings, secrets, by_admin=by_admin, now=ctx.now)
        detail = {"name": name, "settings": made.settings}
        audit.record(unit, who, Event.PROVIDER_CREATED, f"provider:{made.id}", **detail)
        saved(unit, ctx.services, who, made, vouch=draft.vouch)
        return made

    return make
