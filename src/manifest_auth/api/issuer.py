"""Endpoints of each client's issuer that apps call: metadata, keys, tokens, user info (OpenID Connect, as a provider).

Responses and errors have the format of the RFCs. The endpoints that browsers are redirected to are pages.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.accounts import apps
from manifest_auth.api import oauth as service_routes
from manifest_auth.api.oauth import (
    IntrospectionAnswer,
    OAuthFailure,
    TokenAnswer,
    TokenInForm,
    answer_of,
    fields_of,
    form_route,
    refused,
)
from manifest_auth.errors import Forbidden, InvalidToken, NotFound, Refusal, TokenExpired, Unauthenticated
from manifest_auth.http import AUTH_LIMIT, NO_STORE, Access, Answer, Call, Head, Route, identification
from manifest_auth.protocols import authorization, oauth
from manifest_auth.protocols.oauth import UnsupportedGrantType
from manifest_auth.services import RequestContext
from manifest_auth.sessions import tokens
from manifest_auth.sign_in import oauth_tokens
from manifest_auth.sign_in.apps import authentication, logout, redeeming
from manifest_auth.sign_in.apps.authentication import Issuer

_ISSUER = "/o/{client}"
_CACHED = (b"cache-control", b"public, max-age=300")
_encode = msgspec.json.Encoder().encode


class AppTokenForm(service_routes.Authenticated, frozen=True, kw_only=True):
    """Either a code with its verifier and redirect URI, or a refresh token."""

    grant_type: Annotated[str, Meta(description="`authorization_code` or `refresh_token`.")]
    code: Annotated[str | UnsetType, Meta(description="For `authorization_code`.")] = UNSET
    redirect_uri: Annotated[str | UnsetType, Meta(description="For a code: the redirect URI of the request.")] = UNSET
    code_verifier: Annotated[str | UnsetType, Meta(description="For a code: the PKCE verifier.")] = UNSET
    refresh_token: Annotated[str | UnsetType, Meta(description="For `refresh_token`.")] = UNSET
    scope: Annotated[str | UnsetType, Meta(description="For a refresh token: fewer scopes than before.")] = UNSET


class UserInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """The claims of the granted scopes."""

    sub: str
    client: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    given_name: str | UnsetType = UNSET
    family_name: str | UnsetType = UNSET
    locale: str | UnsetType = UNSET
    updated_at: int | UnsetType = UNSET
    email: str | UnsetType = UNSET
    email_verified: bool | UnsetType = UNSET
    roles: list[str] | UnsetType = UNSET


class Metadata(msgspec.Struct, frozen=True):
    """The metadata of OpenID Connect Discovery and RFC 8414, with additional members."""

    issuer: str


class ResourceMetadata(msgspec.Struct, frozen=True):
    """The metadata of RFC 9728. ``authorization_servers``: the issuer of the client that ``resource`` names; otherwise
    empty."""

    resource: str
    authorization_servers: tuple[str, ...] | UnsetType = UNSET
    bearer_methods_supported: tuple[str, ...] = ("header",)


def _issuer(ctx: RequestContext, call: Call[Any]) -> Issuer:
    return authentication.issuer_of(ctx, call.path["client"])


async def _known(ctx: RequestContext, call: Call[Any]) -> Issuer:
    """Returns the issuer of a client that has apps and isn't suspended. It remains until the client's last logout
    tokens, which apps verify, are sent. Raises NotFound."""
    store, client = ctx.services.store, call.path["client"]
    if await apps.origins_of(store, client) is None and not await logout.owes(store, client):
        raise NotFound(reason="no client with apps has that issuer")
    return _issuer(ctx, call)


async def _metadata(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    issuer = await _known(ctx, call)
    return answer_of(_encode(authorization.metadata(issuer.url, apps.SCOPES)), headers=(_CACHED,), stored=True)


async def _resource(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    found = ResourceMetadata(ctx.services.settings.oauth_issuer)
    if call.path:
        issuer = (await _known(ctx, call)).url
        found = ResourceMetadata(issuer, (issuer,))
    return answer_of(_encode(found), headers=(_CACHED,), stored=True)


async def _jwks(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    await _known(ctx, call)
    keys = ctx.services.keys
    for algorithm in tokens.OF_APPS:
        await keys.of_apps(algorithm)
    body = _encode({"keys": keys.published(*tokens.OF_APPS.values())})
    return answer_of(body, headers=(_CACHED,), stored=True)


async def _token(ctx: RequestContext, call: Call[bytes]) -> Answer[None]:
    fields, issuer = fields_of(call), _issuer(ctx, call)
    app = await authentication.authenticate(ctx, issuer, call.head.authorization, fields)
    grant = oauth.required(fields, "grant_type")
    if grant not in authorization.GRANTS:
        raise UnsupportedGrantType(f"grant_type must be {' or '.join(authorization.GRANTS)}")
    work = redeeming.redeem if grant == authorization.CODE else redeeming.renew
    done = await work(ctx, issuer, app, fields)
    granted: dict[str, Any] = {name: value or UNSET for name, value in done._asdict().items()}
    return answer_of(_encode(TokenAnswer(token_type="Bearer", **granted)))  # noqa: S106 - a type, no secret


async def _userinfo(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    if call.head.authorization is None:
        raise Unauthenticated()
    found = await redeeming.userinfo(ctx, _issuer(ctx, call), identification.bearer(call.head.authorization))
    return answer_of(_encode(found))


async def _userinfo_refused(ctx: RequestContext, refusal: Refusal, head: Head) -> Answer[None]:
    """Returns the error. According to RFC 6750, section 3, a request without a token gets no error code."""
    if refusal.status not in (401, 403):
        return await refused(ctx, refusal, head)
    error = "insufficient_scope" if refusal.status == 403 else "invalid_token"
    more = ', scope="openid"' if refusal.status == 403 else ""
    challenge = "Bearer" if isinstance(refusal, Unauthenticated) else f'Bearer error="{error}"{more}'
    failure = OAuthFailure(error, str(refusal.message), ctx.request_id)
    return answer_of(_encode(failure), refusal.status, ((b"www-authenticate", challenge.encode()),))


async def _revoke(ctx: RequestContext, call: Call[bytes]) -> Answer[None]:
    fields = fields_of(call)
    app = await authentication.authenticate(ctx, _issuer(ctx, call), call.head.authorization, fields)
    await oauth_tokens.revoke_of_app(ctx, app, oauth.required(fields, "token"))
    return Answer(200, b"", (NO_STORE,))


async def _introspect(ctx: RequestContext, call: Call[bytes]) -> Answer[None]:
    fields, issuer = fields_of(call), _issuer(ctx, call)
    app = await authentication.authenticate(ctx, issuer, call.head.authorization, fields, confidential=True)
    found = await redeeming.introspect(ctx, issuer, app, oauth.required(fields, "token"))
    return service_routes.introspected(found)


def _get(path: str, handler: Any, summary: str, operation: str, plain: Any, *, method: str = "GET") -> Route:
    is_userinfo = plain is UserInfo
    refusals = (Unauthenticated, InvalidToken, TokenExpired, Forbidden) if is_userinfo else (NotFound,)
    return Route(method, path, handler, Access.OPEN, summary, limit=AUTH_LIMIT, plain=plain, failure=OAuthFailure,
                 refused=_userinfo_refused if is_userinfo else refused, refusals=refusals,
                 operation=operation)  # fmt: skip


class KeySet(msgspec.Struct, frozen=True):
    keys: list[dict[str, str]]


ROUTES = (
    _get(f"{_ISSUER}/.well-known/openid-configuration", _metadata, "Get the metadata of a client's issuer",
         "getIssuerMetadata", Metadata),
    _get("/.well-known/oauth-authorization-server/o/{client}", _metadata, "Get the same metadata (RFC 8414)",
         "getIssuerMetadataByRfc8414", Metadata),
    _get("/.well-known/oauth-protected-resource", _resource, "Get this server's resource metadata",
         "getResourceMetadata", ResourceMetadata),
    _get("/.well-known/oauth-protected-resource/o/{client}", _resource, "Get a client's resource metadata",
         "getClientResourceMetadata", ResourceMetadata),
    _get(f"{_ISSUER}/jwks", _jwks, "Get the keys that sign ID tokens", "getIssuerKeys", KeySet),
    form_route(f"{_ISSUER}/token", _token, "Exchange a code or a refresh token for tokens", AppTokenForm, TokenAnswer,
               "getAppTokens"),
    _get(f"{_ISSUER}/userinfo", _userinfo, "Get the claims about the user", "getUserInfo", UserInfo),
    _get(f"{_ISSUER}/userinfo", _userinfo, "Get the claims about the user, with POST", "postUserInfo", UserInfo,
         method="POST"),
    form_route(f"{_ISSUER}/revoke", _revoke, "End the session of an app's token", TokenInForm, None, "revokeAppToken"),
    form_route(f"{_ISSUER}/introspect", _introspect, "Introspect an app's own access token", TokenInForm,
               IntrospectionAnswer, "introspectAppToken"),
)  # fmt: skip
