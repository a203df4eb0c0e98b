"""Routes of OAuth 2.0 for service accounts and device apps: RFC 6749, 7009, 7662, 8414, 8628.

Only these routes read forms. They never read cookies or query parameters. Responses and errors have the format of the
RFCs, not the envelope.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.accounts import apps
from manifest_auth.accounts.apps import App
from manifest_auth.errors import (
    InvalidCredentials,
    LicenseExpired,
    LicenseRequired,
    Overloaded,
    PayloadTooLarge,
    RateLimited,
    Refusal,
    UnsupportedMediaType,
    ValidationError,
)
from manifest_auth.http import AUTH_LIMIT, NO_STORE, Access, Answer, Call, Head, Header, Route, refusal_headers
from manifest_auth.http.request import check_form_type, parse_form
from manifest_auth.permissions import permission_names, role_names
from manifest_auth.protocols import oauth
from manifest_auth.protocols.oauth import DEVICE_AUTHORIZATION, INTROSPECTION, PAIRING, PATH, REVOCATION, TOKEN
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import oauth_tokens
from manifest_auth.sign_in.devices import device_grant
from manifest_auth.sign_in.oauth_tokens import Active

_JSON: Header = (b"content-type", b"application/json")
_PRAGMA: Header = (b"pragma", b"no-cache")  # RFC 6749, section 5.1
_BASIC: Header = (b"www-authenticate", b'Basic realm="manifest-auth"')
_INACTIVE = b'{"active":false}'
_MOST_FIELDS = 20
DEVICE_PAGE = "/device"
_encode = msgspec.json.Encoder().encode


# UNSET instead of a default, because type generators treat a member with a default as required.


class Authenticated(msgspec.Struct, frozen=True):
    """Fields that authenticate a caller without HTTP Basic authentication."""

    MORE_SCHEMA: ClassVar = {"maxProperties": _MOST_FIELDS}

    client_assertion_type: Annotated[
        Literal["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"] | UnsetType,
        Meta(description="Only with `client_assertion`."),
    ] = UNSET
    client_assertion: Annotated[str | UnsetType, Meta(description="A JWT that the service account signed.")] = UNSET
    client_id: Annotated[
        str | UnsetType,
        Meta(
            description="`svc_ID`, optional with an assertion. Or the ID of a device app, which doesn't authenticate."
        ),
    ] = UNSET
    client_secret: Annotated[
        str | UnsetType, Meta(description="Only with `client_id`, and without a Basic header.")
    ] = UNSET


class TokenForm(Authenticated, frozen=True, kw_only=True):
    """A service account uses ``client_credentials``. A device's app uses the other two grant types, with its
    ``client_id``."""

    grant_type: Literal["client_credentials", "urn:ietf:params:oauth:grant-type:device_code", "refresh_token"]
    device_code: Annotated[str | UnsetType, Meta(description="Only with the device grant type.")] = UNSET
    refresh_token: Annotated[str | UnsetType, Meta(description="Only with the grant type `refresh_token`.")] = UNSET
    scope: Annotated[
        str | UnsetType,
        Meta(description="For service accounts: permissions, separated by spaces. Default: all that it has."),
    ] = UNSET
    resource: Annotated[str | UnsetType, Meta(description="If sent, it must be the issuer.")] = UNSET


class TokenInForm(Authenticated, frozen=True, kw_only=True):
    token: str
    token_type_hint: Annotated[str | UnsetType, Meta(description="Ignored.")] = UNSET


class TokenAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """``scope``: what the token allows; ``refresh_token``: only for a device or an app; ``id_token``: only for an
    app."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    scope: str
    refresh_token: str | UnsetType = UNSET
    id_token: str | UnsetType = UNSET


class DeviceForm(msgspec.Struct, frozen=True):
    MORE_SCHEMA: ClassVar = {"maxProperties": _MOST_FIELDS}

    client_id: Annotated[str, Meta(description="ID of a device app.")]
    device_name: Annotated[
        str | UnsetType, Meta(description="Up to 40 letters, digits, spaces, and hyphens; shown to users.")
    ] = UNSET


class PairingForm(DeviceForm, frozen=True, kw_only=True):
    pairing_code: Annotated[str, Meta(description="The scanned code, unchanged, or the letters that were entered.")]


class DeviceAnswer(msgspec.Struct, frozen=True):
    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


class PairingAnswer(msgspec.Struct, frozen=True):
    """``match``: two digits that the device shows."""

    device_code: str
    match: str
    expires_in: int
    interval: int


class IntrospectionAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """If ``active`` is false, there are no other members. ``client_id``: the service account or the app; ``username``,
    ``roles``: omitted for an app."""

    active: bool
    sub: str | UnsetType = UNSET
    client: str | UnsetType = UNSET
    client_id: str | UnsetType = UNSET
    username: str | UnsetType = UNSET
    scope: str | UnsetType = UNSET
    roles: tuple[str, ...] | UnsetType = UNSET
    token_type: Literal["Bearer"] | UnsetType = UNSET
    iss: str | UnsetType = UNSET
    aud: str | UnsetType = UNSET
    iat: int | UnsetType = UNSET
    exp: int | UnsetType = UNSET


class OAuthFailure(msgspec.Struct, frozen=True):
    error: str
    error_description: str
    request_id: str


def answer_of(
    body: bytes, status: int = 200, headers: tuple[Header, ...] = (), *, stored: bool = False
) -> Answer[None]:
    """Returns a response in the format of the RFCs. ``stored`` means that the headers let caches store it."""
    return Answer(status, body, (_JSON, *headers) if stored else (_JSON, NO_STORE, _PRAGMA, *headers))


async def refused(ctx: RequestContext, refusal: Refusal, _head: Head) -> Answer[None]:
    """Returns an error in the format of RFC 6749, section 5.2: 400, or 401 if the caller isn't authenticated. Errors
    with their own HTTP status keep it: 404, 405, 413, 429, 503."""
    failure = _encode(OAuthFailure(oauth.error_of(refusal), str(refusal.message), ctx.request_id))
    if refusal.status == 401:
        return answer_of(failure, 401, (_BASIC,))
    status = 400 if isinstance(refusal, UnsupportedMediaType) else refusal.status
    return answer_of(failure, status, refusal_headers(refusal))


def fields_of(call: Call[bytes]) -> dict[str, str]:
    """Returns the fields of the form. Raises ValidationError or UnsupportedMediaType."""
    check_form_type(call.head)
    return oauth.read_form(parse_form(call.body, _MOST_FIELDS, repeated=oauth.RESOURCE))


def _is_device(head: Head, fields: dict[str, str]) -> bool:
    """Whether the caller is a device's app, according to its client ID. Any other caller must authenticate."""
    return head.authorization is None and apps.is_app_id(fields.get("client_id", ""))


async def _token(ctx: RequestContext, call: Call[bytes]) -> Answer[None]:
    fields, issuer = fields_of(call), ctx.services.settings.oauth_issuer
    if _is_device(call.head, fields):
        app = await device_grant.authenticate(ctx, fields)
        grant = oauth.read_grant(fields, oauth.OF_DEVICES)
        oauth.check_resource(fields, issuer)
        return answer_of(_encode(await _of_device(ctx, app, grant, fields)))
    client = await oauth_tokens.authenticate(ctx, call.head.authorization, fields)
    token, life, scope = await oauth_tokens.issue(ctx, client, oauth.read_scope(fields, issuer))
    return answer_of(_encode(TokenAnswer(token, "Bearer", life, " ".join(scope))))


async def _of_device(ctx: RequestContext, app: App, grant: str, fields: dict[str, str]) -> TokenAnswer:
    """Handles a poll or refresh by a device's app. The response contains the scope, which is always the session's (RFC
    6749, section 3.3)."""
    if grant == oauth.REFRESH_TOKEN:
        pair, roles = await device_grant.refresh(ctx, app, oauth.required(fields, "refresh_token"))
    else:
        pair, roles = await device_grant.poll(ctx, app, oauth.required(fields, "device_code"))
    return TokenAnswer(pair.token, "Bearer", pair.expires_in, " ".join(permission_names(roles)), pair.refresh_token)


async def _asking_app(ctx: RequestContext, call: Call[bytes], fields: dict[str, str]) -> App:
    """Returns the device app that requests a sign-in. Raises InvalidClient, UnauthorizedClient, or InvalidTarget."""
    if not _is_device(call.head, fields):
        await oauth_tokens.authenticate(ctx, call.head.authorization, fields)
        raise oauth.UnauthorizedClient("Only device apps can request approval")
    app = await device_grant.authenticate(ctx, fields)
    oauth.check_resource(fields, ctx.services.settings.oauth_issuer)
    return app


async def _revoke(ctx: RequestContext, call: Call[bytes]) -> Answer[None]:
    fields = fields_of(call)
    if _is_device(call.head, fields):
        app = await device_grant.authenticate(ctx, fields)
        await oauth_tokens.revoke_of_app(ctx, app, oauth.required(fields, "token"))
        return Answer(200, b"", (NO_STORE, _PRAGMA))
    await oauth_tokens.revoke(ctx, call.head.authorization, fields, oauth.required(fields, "token"))
    return Answer(200, b"", (NO_STORE, _PRAGMA))


async def _introspect(ctx: RequestContext, call: Call[bytes]) -> Answer[None]:
    fields = fields_of(call)
    client = await oauth_tokens.authenticate(ctx, call.head.authorization, fields)
    found = await oauth_tokens.introspect(ctx, client, oauth.required(fields, "token"))
    return introspected(found)


def introspected(found: Active | None) -> Answer[None]:
    """Returns the response of an introspection. With None, it reveals nothing to the caller."""
    return answer_of(_INACTIVE if found is None else _encode(_shown(found)))


def _shown(found: Active) -> IntrospectionAnswer:
    who = found.principal
    return IntrospectionAnswer(
        active=True,
        sub=found.sub,
        client=who.client,
        client_id=found.client_id or UNSET,
        username=UNSET if who.is_app else who.first_name if who.is_service else who.email,
        scope=found.scope or " ".join(permission_names(who.roles, who.scopes)),
        roles=UNSET if who.is_app else role_names(who.roles),  # the scope limits what an app can do
        token_type="Bearer",  # noqa: S106 - a type, no secret
        iss=found.issuer,
        aud=found.audience,
        iat=found.issued_at,
        exp=found.expires_at,
    )


async def _ask_by_code(ctx: RequestContext, call: Call[bytes]) -> Answer[None]:
    fields, public = fields_of(call), ctx.services.settings.public_url.rstrip("/")
    app = await _asking_app(ctx, call, fields)
    device_code, user_code = await device_grant.by_code(ctx, app, fields)
    page = f"{public}{DEVICE_PAGE}"
    shown = DeviceAnswer(
        device_code=device_code,
        user_code=user_code,
        verification_uri=page,
        verification_uri_complete=f"{page}?user_code={user_code}",
        expires_in=device_grant.BY_CODE_S,
        interval=device_grant.BY_CODE_INTERVAL_S,
    )
    return answer_of(_encode(shown))


async def _ask_by_scan(ctx: RequestContext, call: Call[bytes]) -> Answer[None]:
    fields = fields_of(call)
    app = await _asking_app(ctx, call, fields)
    device_code, digits = await device_grant.by_scan(ctx, app, fields)
    return answer_of(
        _encode(PairingAnswer(device_code, digits, device_grant.BY_SCAN_S, device_grant.BY_SCAN_INTERVAL_S))
    )


async def _metadata(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    body = _encode(oauth.metadata(ctx.services.settings.oauth_issuer))
    return Answer(200, body, (_JSON, (b"cache-control", b"public, max-age=300")))


REFUSALS = (
    InvalidCredentials,
    ValidationError,
    PayloadTooLarge,
    UnsupportedMediaType,
    RateLimited,
    Overloaded,
    LicenseRequired,
    LicenseExpired,
)


def form_route(path: str, handler: Any, summary: str, form: Any, plain: Any = None, operation: str = "") -> Route:
    """Creates a route that reads a form, and responds in the format of the RFCs. ``plain`` is the model of the
    response."""
    return Route("POST", path, handler, Access.OPEN, summary, limit=AUTH_LIMIT, raw=True, form=form, plain=plain,
                 failure=OAuthFailure, refused=refused, refusals=REFUSALS, operation=operation)  # fmt: skip


ROUTES = (
    form_route(TOKEN, _token, "Get an access token for a service account", TokenForm, TokenAnswer, "getServiceToken"),
    form_route(REVOCATION, _revoke, "Revoke your own token, or any API key or client secret", TokenInForm, None,
               "revokeToken"),
    form_route(INTROSPECTION, _introspect, "Introspect a token or API key", TokenInForm, IntrospectionAnswer,
               "introspectToken"),
    form_route(DEVICE_AUTHORIZATION, _ask_by_code, "Request a code for a device to show", DeviceForm, DeviceAnswer),
    form_route(PAIRING, _ask_by_scan, "Send the code that a device scanned", PairingForm, PairingAnswer),
    Route("GET", PATH, _metadata, Access.OPEN, "Get the metadata of the authorization server",
          sends=("application/json",), operation="getOauthMetadata"),
)  # fmt: skip
