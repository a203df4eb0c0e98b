"""Authentication of the app that calls an endpoint of its client's issuer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from manifest_auth import tenants
from manifest_auth.accounts import apps
from manifest_auth.accounts.apps import App
from manifest_auth.errors import NotFound, ValidationError
from manifest_auth.protocols import oauth
from manifest_auth.protocols.oauth import ClientAssertion, ClientSecret, InvalidClient, UnauthorizedClient
from manifest_auth.services import RequestContext
from manifest_auth.sessions import tokens
from manifest_auth.sign_in import oauth_tokens
from manifest_auth.text import machine_secrets
from manifest_auth.text.machine_secrets import SecretKind


class Issuer(NamedTuple):
    """A client's issuer. ``client``: its identifier; ``url``: the issuer itself."""

    client: str
    url: str


def issuer_of(ctx: RequestContext, client: str) -> Issuer:
    """Returns the issuer for the apps of a client. Raises NotFound for an invalid identifier, because the caller might
    put it into a header."""
    try:
        tenants.check_identifier(client)
    except ValidationError:
        raise NotFound(reason="no client can have this identifier") from None
    return Issuer(client, tokens.app_issuer(ctx.services.settings.oauth_issuer, client))


async def find(ctx: RequestContext, issuer: Issuer, client_id: str) -> App | None:
    """Returns the app with that client ID at this issuer. None for another client's app, and for a device app, which
    has no authorization endpoint."""
    found = await apps.find_app(ctx.services.store, client_id, ctx.now)
    return found if found is not None and found.client == issuer.client and found.kind != "device" else None


async def authenticate(
    ctx: RequestContext,
    issuer: Issuer,
    authorization: str | None,
    fields: Mapping[str, str],
    *,
    confidential: bool = False,
) -> App:
    """Authenticates the calling app: by secret or assertion if it has any, otherwise by its client ID and PKCE.
    ``confidential``: accept only apps that authenticate themselves. Raises InvalidClient, InvalidRequest,
    UnauthorizedClient, RateLimited."""
    shows_none = (
        authorization is None and not {"client_secret", "client_assertion", "client_assertion_type"} & fields.keys()
    )
    if shows_none:
        app = await _get(ctx, issuer, oauth.required(fields, "client_id"))
        if app.kind == "web":
            raise InvalidClient("a web app without a secret or an assertion")
        if confidential:
            raise UnauthorizedClient("Only apps that authenticate can use this endpoint")
        return app
    shown = oauth.read_authentication(authorization, fields)
    if isinstance(shown, ClientAssertion):

        async def owner(client_id: str) -> App:
            return await _get(ctx, issuer, client_id)

        app = await oauth_tokens.by_assertion(ctx, shown, issuer.url, owner)
    else:
        app = await _by_secret(ctx, issuer, shown)
    if app.kind != "web":
        raise InvalidClient("apps of this kind have no secrets or keys")
    return app


async def _get(ctx: RequestContext, issuer: Issuer, client_id: str) -> App:
    found = await find(ctx, issuer, client_id)
    if found is None:
        raise InvalidClient("unknown app of this issuer, or its client is suspended")
    return found


async def _by_secret(ctx: RequestContext, issuer: Issuer, shown: ClientSecret) -> App:
    if not oauth.is_client_id(shown.client_id) or machine_secrets.kind_of(shown.secret) is not SecretKind.CLIENT_SECRET:
        raise InvalidClient("no client ID, or a client secret with an invalid checksum")  # spares a query
    limits = ctx.services.wrong_secrets
    limits.check(ctx.address, shown.secret)
    app = await find(ctx, issuer, shown.client_id)
    if app is None or not app.has_secret(shown.secret):
        await limits.count(ctx.address, shown.client_id)
        raise InvalidClient("unknown app of this issuer, or the secret is unknown, expired, or another app's")
    limits.was_right(shown.secret)
    return app
