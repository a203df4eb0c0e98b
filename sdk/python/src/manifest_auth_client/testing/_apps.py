"""The fake server as an OpenID Connect provider, with one issuer per client, below ``/o/{client}``."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, unquote_plus, urlencode

from manifest_auth_client.credentials import OAuthError
from manifest_auth_client.errors import InvalidToken, NotFound, TokenExpired
from manifest_auth_client.testing._state import FakeUser, State
from manifest_auth_client.testing._users import Asked

if TYPE_CHECKING:
    from joserfc.jwk import RSAKey

METADATA = "/.well-known/oauth-authorization-server/o/"
OFFLINE = "offline_access"
_CODE_S, _ID_TOKEN_S = 60, 300


@dataclass
class FakeApp:
    """An app of a client. ``secret`` is empty for an app that runs in a browser or on the user's device.

    >>> fake.add_app("https://reports.example/callback").issuer
    'http://auth.example/o/acme'
    """

    client_id: str
    client: str
    issuer: str
    redirect_uris: list[str]
    post_logout_redirect_uris: list[str]
    scopes: list[str]
    secret: str = field(repr=False)


class Redirect(NamedTuple):
    """A response that redirects the browser."""

    address: str


class Granted(NamedTuple):
    """The content of an authorization code and of an app's session."""

    app: FakeApp
    user: FakeUser
    scope: list[str]
    redirect_uri: str = ""
    challenge: str = ""
    nonce: str = ""
    ends_at: float = 0
    signed_in_at: int = 0


def act(method: str, path: str, query: str, asked: Asked) -> Any:
    """Returns the response of an issuer's endpoint: the members of a JSON object, or a :class:`Redirect`. Raises
    NotFound."""
    if path.startswith(METADATA):  # the alternative metadata address (RFC 8414, section 3.1)
        path = f"/o/{path.removeprefix(METADATA)}/.well-known/openid-configuration"
    client, _, endpoint = path.removeprefix("/o/").partition("/")
    apps = [app for app in asked.state.apps if app.client == client]
    if not apps:
        raise NotFound
    issuer = apps[0].issuer
    if endpoint == ".well-known/openid-configuration":
        return _metadata(issuer)
    if endpoint == "jwks":
        return {"keys": [{**_key().as_dict(private=False), "kid": "stand-in", "use": "sig", "alg": "RS256"}]}
    if endpoint == "authorize":
        given = query if method == "GET" else urlencode(asked.body)
        return _authorize(asked.state, apps, dict(parse_qsl(given)))
    if endpoint == "token" and method == "POST":
        return _token(asked, apps)
    if endpoint in _OF_TOKENS and method == "POST":
        return _OF_TOKENS[endpoint](asked.state, _authenticated(asked, apps), str(asked.body.get("token")))
    if endpoint == "logout":
        return _logout(asked.state, apps, dict(parse_qsl(query)) if method == "GET" else asked.body)
    if endpoint == "userinfo":
        session = asked.session()
        granted = asked.state.granted.get(session.id)
        if granted is None:
            raise OAuthError("The token is not an app's", code="insufficient_scope", status=403)
        return {"sub": str(session.user.id), **_claims(granted)}
    raise NotFound(f"FakeManifestAuth does not know {path}")


def _metadata(issuer: str) -> dict[str, Any]:
    return {
        "issuer": issuer,
        **{f"{name}_endpoint": f"{issuer}/{path}" for name, path in
           {"authorization": "authorize", "token": "token", "userinfo": "userinfo", "revocation": "revoke",
            "introspection": "introspect", "end_session": "logout"}.items()},
        "jwks_uri": f"{issuer}/jwks",
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "authorization_response_iss_parameter_supported": True,
    }  # fmt: skip


def _authorize(state: State, apps: list[FakeApp], asked: Mapping[str, str]) -> Redirect:
    app = next((app for app in apps if app.client_id == asked.get("client_id")), None)
    address = asked.get("redirect_uri", "")
    if app is None or address not in app.redirect_uris:
        raise OAuthError("No such app or redirect_uri", code="invalid_request", status=400)

    def told(**members: str) -> Redirect:
        more = {"state": asked["state"]} if "state" in asked else {}
        return Redirect(f"{address}{'&' if '?' in address else '?'}{urlencode({**members, **more, 'iss': app.issuer})}")

    wanted = asked.get("scope", "").split()
    if asked.get("response_type") != "code":
        return told(error="unsupported_response_type")
    if asked.get("code_challenge_method") != "S256" or not asked.get("code_challenge"):
        return told(error="invalid_request", error_description="PKCE with S256 is required")
    if "openid" not in wanted or not set(wanted) <= set(app.scopes):
        return told(error="invalid_scope")
    user = state.at_browser
    if user is None or user.is_disabled or user.client != app.client:
        return told(error="login_required" if user is None else "access_denied")
    code = secrets.token_urlsafe(32)
    state.app_codes[code] = Granted(
        app=app, user=user, scope=wanted, redirect_uri=address, challenge=asked["code_challenge"],
        nonce=asked.get("nonce", ""), ends_at=state.now + _CODE_S, signed_in_at=int(state.now),
    )  # fmt: skip
    return told(code=code)


def _token(asked: Asked, apps: list[FakeApp]) -> dict[str, Any]:
    app, state, grant = _authenticated(asked, apps), asked.state, asked.body.get("grant_type")
    if grant == "authorization_code":
        granted = state.app_codes.pop(code := str(asked.body.get("code")), None)
        if granted is None and code in state.redeemed:  # the code was used before, so end its session
            state.sessions[state.redeemed[code]].is_over = True
        digest = hashlib.sha256(str(asked.body.get("code_verifier", "")).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        is_right = (
            granted is not None
            and granted.app is app
            and granted.ends_at > state.now
            and (granted.redirect_uri, granted.challenge) == (asked.body.get("redirect_uri"), challenge)
        )
        if granted is None or not is_right:
            raise OAuthError("The code is not valid", code="invalid_grant", status=400)
        pair = state.begin(granted.user)
        state.redeemed[code] = state.read(pair["token"], "JWT")["sid"]
    elif grant == "refresh_token":
        token = str(asked.body.get("refresh_token"))
        found = state.granted.get(state.session_of(token))
        if found is None or found.app is not app:
            raise OAuthError("The refresh token is not valid", code="invalid_grant", status=400)
        wanted = str(asked.body.get("scope", "")).split() or found.scope
        if not set(wanted) <= set(found.scope):
            raise OAuthError("The session doesn't have this scope", code="invalid_scope", status=400)
        whole, pair = found, state.rotate(token)
        granted = whole._replace(scope=wanted)
    else:
        raise OAuthError("No such grant type", code="unsupported_grant_type", status=400)
    session = state.read(pair["token"], "JWT")["sid"]
    state.granted.setdefault(session, granted)
    answer = {"access_token": pair["token"], "token_type": "Bearer", "expires_in": pair["expiresIn"]}
    if OFFLINE in granted.scope or grant == "refresh_token":
        answer["refresh_token"] = pair["refreshToken"]
    return {**answer, "scope": " ".join(granted.scope), "id_token": _id_token(state, granted, session, pair["token"])}


def _session_of(state: State, app: FakeApp, token: str) -> str:
    """Returns the open session of the app's access or refresh token. Raises InvalidToken and TokenExpired."""
    session = state.alive(state.read(token, "JWT", "refresh")["sid"]).id
    if session not in state.granted or state.granted[session].app is not app:
        raise InvalidToken
    return session


def _revoke(state: State, app: FakeApp, token: str) -> dict[str, Any]:
    with suppress(InvalidToken, TokenExpired):
        state.sessions[_session_of(state, app, token)].is_over = True
    return {}


def _introspect(state: State, app: FakeApp, token: str) -> dict[str, Any]:
    try:
        session = _session_of(state, app, token)
    except (InvalidToken, TokenExpired):
        return {"active": False}
    granted, claims = state.granted[session], state.read(token, "JWT", "refresh")
    return {
        "active": True, "iss": app.issuer, "aud": app.issuer, "client_id": app.client_id, "exp": int(claims["exp"]),
        "sub": str(granted.user.id), "scope": " ".join(granted.scope),
    }  # fmt: skip


_OF_TOKENS = {"revoke": _revoke, "introspect": _introspect}


def _logout(state: State, apps: list[FakeApp], given: Mapping[str, str]) -> Any:
    """Signs out the browser, and ends the sessions of apps without ``offline_access``."""
    address = given.get("post_logout_redirect_uri", "")
    if address and not any(address in app.post_logout_redirect_uris for app in apps):
        raise OAuthError("No app of the issuer lists this address", code="invalid_request", status=400)
    user, state.at_browser = state.at_browser, None
    for session, granted in state.granted.items():
        if granted.user is user and OFFLINE not in granted.scope:
            state.sessions[session].is_over = True
    if not address:
        return {}
    more = urlencode({"state": given["state"]}) if "state" in given else ""
    return Redirect(address + (f"{'&' if '?' in address else '?'}{more}" if more else ""))


def _authenticated(asked: Asked, apps: list[FakeApp]) -> FakeApp:
    scheme, _, pair = asked.headers.get("authorization", "").partition(" ")
    name, secret = str(asked.body.get("client_id", "")), str(asked.body.get("client_secret", ""))
    if scheme.lower() == "basic":
        name, secret = (unquote_plus(part) for part in base64.b64decode(pair).decode().partition(":")[::2])
    for app in apps:
        if app.client_id == name and secrets.compare_digest(app.secret, secret):
            return app
    raise OAuthError("Client authentication failed", code="invalid_client", status=401)


def _id_token(state: State, granted: Granted, session: str, access: str) -> str:
    from joserfc import jwt

    half = hashlib.sha256(access.encode()).digest()[:16]
    claims = {
        "iss": granted.app.issuer, "aud": granted.app.client_id, "azp": granted.app.client_id,
        "sub": str(granted.user.id), "iat": int(state.now), "exp": int(state.now) + _ID_TOKEN_S,
        "auth_time": granted.signed_in_at, "amr": ["pwd"], "acr": "pwd", "sid": session,
        "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
        **({"nonce": granted.nonce} if granted.nonce else {}), **_claims(granted),
    }  # fmt: skip
    return jwt.encode({"alg": "RS256", "kid": "stand-in"}, claims, _key())


def _claims(granted: Granted) -> dict[str, Any]:
    """The claims of the granted scopes."""
    user, found = granted.user, {"client": granted.app.client}
    more: dict[str, dict[str, Any]] = {
        "profile": {"name": f"{user.first_name} {user.last_name}".strip(), "given_name": user.first_name,
                    "family_name": user.last_name, "updated_at": user.changed_at},
        "email": {"email": user.email, "email_verified": True},
        "roles": {"roles": user.roles},
    }  # fmt: skip
    return found | {name: value for scope in granted.scope for name, value in more.get(scope, {}).items()}


@cache
def _key() -> RSAKey:
    from joserfc.jwk import RSAKey

    return RSAKey.generate_key(2048)
