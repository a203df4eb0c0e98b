"""The fake server's routes for machines: ``/oauth2``, with the errors of RFC 6749, and the public keys."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

import httpx2

from manifest_auth_client._failure import ManifestAuthError
from manifest_auth_client.credentials import OAuthError
from manifest_auth_client.testing._state import FakeService, FakeUser
from manifest_auth_client.testing._users import Asked

_LIFE_S = 900


def refusal(refused: ManifestAuthError, request_id: str) -> tuple[int, dict[str, Any]] | None:
    """Returns the status and members of an ``/oauth2`` error; None for any other error."""
    if not isinstance(refused, OAuthError):
        return None
    said = {"error": refused.code, "error_description": refused.message, "request_id": request_id}
    return refused.status, said


def _client(asked: Asked) -> FakeService:
    """Returns the service account that the secret or assertion authenticates."""
    scheme, _, pair = asked.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic" and "client_assertion" not in asked.body:
        name, _, secret = base64.b64decode(pair).decode().partition(":")
        for service in asked.state.services:
            is_right = service.client_id == unquote_plus(name) and service.secret == unquote_plus(secret)
            if is_right and not service.is_disabled:
                return service
    elif not scheme and (assertion := asked.body.get("client_assertion")):
        for service in asked.state.services:
            if (
                service.jwks is not None
                and not service.is_disabled
                and _proves(asked, service, service.jwks, assertion)
            ):
                return service
    raise OAuthError("Client authentication failed", code="invalid_client", status=401)


def _proves(asked: Asked, service: FakeService, jwks: dict[str, Any], assertion: str) -> bool:
    from joserfc import jwk, jwt
    from joserfc.errors import JoseError

    try:
        keys = jwk.KeySet.import_key_set(jwks)  # type: ignore[arg-type]  # JSON of the test, which it checks
        found = jwt.decode(assertion, keys, ["ES256", "PS256", "RS256"])
    except (JoseError, ValueError):
        return False
    claims, now = found.claims, time.time()  # the signer's clock, which tests don't move
    names = claims.get("iss") == claims.get("sub") == service.client_id and claims.get("aud") == asked.state.base_url
    is_new = claims.get("jti") and claims["jti"] not in asked.state.used
    asked.state.used.add(str(claims.get("jti")))
    return bool(names and is_new and now < claims.get("exp", 0) <= now + 300)


def _token(asked: Asked) -> dict[str, Any]:
    service = _client(asked)
    if asked.body.get("grant_type") != "client_credentials":
        raise OAuthError("No such grant type", code="unsupported_grant_type", status=400)
    wanted = str(asked.body.get("scope", "")).split() or service.permissions
    if not set(wanted) <= set(service.permissions):
        raise OAuthError("No such scope", code="invalid_scope", status=400)
    scope = " ".join(name for name in service.permissions if name in wanted)
    token = asked.state.sign("at+jwt", _LIFE_S, **_claims(asked, service), scope=scope)
    return {"access_token": token, "token_type": "Bearer", "expires_in": _LIFE_S, "scope": scope}


def _claims(asked: Asked, service: FakeService) -> dict[str, Any]:
    name = service.client_id
    return {"aud": asked.state.base_url, "sub": name, "client_id": name, "client": service.client}


def _introspect(asked: Asked) -> dict[str, Any]:
    """Introspects a valid token of the same client for an authorized machine. Otherwise returns exactly ``{"active":
    false}``."""
    service, token = _client(asked), asked.text("token")
    found = _active(asked, token) if service.may_introspect else None
    if found is None or found["client"] != service.client:
        return {"active": False}
    return {"active": True, "token_type": "Bearer", "iss": asked.state.base_url, **found}


def _active(asked: Asked, token: str) -> dict[str, Any] | None:
    """The introspection of a user's token, an API key, or a service token."""
    shown = Asked(asked.state, httpx2.Headers({"authorization": f"Bearer {token}"}), {})
    try:
        who = shown.member()
        claims = {} if token.startswith("mfst_") else asked.state.read(token, "JWT", "at+jwt")
    except ManifestAuthError:
        return None
    if isinstance(who, FakeUser):
        return {**claims, "username": who.email, "roles": who.roles, "scope": " ".join(who.permissions)}
    held = " ".join(name for name in who.permissions if name in shown.scope(who))
    return {**_claims(asked, who), **claims, "username": who.name, "roles": who.roles, "scope": held}


def _jwks(asked: Asked) -> dict[str, Any]:
    return {"keys": [], "access_token_signing_alg": "HS256"}


ROUTES: dict[tuple[str, str], Callable[[Asked], Any]] = {
    ("POST", "/oauth2/token"): _token,
    ("POST", "/oauth2/introspect"): _introspect,
    ("GET", "/.well-known/jwks.json"): _jwks,
}
