"""Error bodies of Microsoft's services, in three different formats."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from typing import Any

from tests.support.oidc_socket import Answer

GRAPH_RESOURCE = "00000003-0000-0000-c000-000000000000"
LOGIN = "https://login.microsoftonline.com"
#: AADSTS number → the token endpoint's error code, status, and message (shortened).
AADSTS: dict[int, tuple[str, int, str]] = {
    50013: ("invalid_grant", 400, "Assertion failed signature validation."),
    50027: ("invalid_grant", 400, "JWT token is invalid or malformed."),
    54005: ("invalid_grant", 400, "OAuth2 Authorization code was already redeemed."),
    65001: ("invalid_grant", 400, "The user or administrator has not consented to use the application."),
    70003: ("unsupported_grant_type", 400, "The app requested an unsupported grant type."),
    70008: ("invalid_grant", 400, "The provided authorization code or refresh token has expired."),
    90002: ("invalid_tenant", 400, "Tenant not found. Check to make sure you have the correct tenant ID."),
    500131: ("invalid_grant", 400, "Assertion audience does not match the Client app presenting the assertion."),
    500133: ("invalid_grant", 400, "Assertion is not within its valid time range."),
    500112: ("invalid_client", 401, "The reply address does not match the one of the authorization request."),
    501481: ("invalid_grant", 400, "The Code_Verifier does not match the code_challenge."),
    700016: ("unauthorized_client", 400, "Application was not found in the directory."),
    7000215: ("invalid_client", 401, "Invalid client secret provided."),
    7000218: ("invalid_client", 401, "The request body must contain: 'client_assertion' or 'client_secret'."),
    9002313: ("invalid_grant", 400, "Invalid request. Request is malformed or invalid."),
}


def guid() -> str:
    """A random GUID, as used for requests and traces."""
    digits = secrets.token_hex(16)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def aadsts(number: int, now_ms: int) -> Answer:
    """An error of the login service."""
    error, status, text = AADSTS[number]
    stamp, trace, correlation = f"{_utc(now_ms):%Y-%m-%d %H:%M:%SZ}", guid(), guid()
    body: dict[str, Any] = {
        "error": error,
        "error_description": f"AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation} "
        f"Timestamp: {stamp}",
        "error_codes": [number],
        "timestamp": stamp,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": f"{LOGIN}/error?code={number}",
    }
    if number == 65001:
        body["suberror"] = "consent_required"
    return _json(body, status, {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"})


def sign_in_page(number: int) -> Answer:
    """The response to a browser that the login service can't redirect anywhere."""
    page = (
        f"<html><body>Sorry, but we're having trouble signing you in. AADSTS{number}: {AADSTS[number][2]}</body></html>"
    )
    return Answer(400, {"Content-Type": "text/html; charset=utf-8"}, page.encode())


def graph(code: str, message: str, now_ms: int, status: int = 401, **headers: str) -> Answer:
    """An error of Microsoft Graph."""
    request, client = guid(), guid()
    inner = {"date": f"{_utc(now_ms):%Y-%m-%dT%H:%M:%S}", "request-id": request, "client-request-id": client}
    body = {"error": {"code": code, "message": message, "innerError": inner}}
    lines = {"request-id": request, "client-request-id": client, **headers}
    if status == 401:
        challenge = f'realm="", authorization_uri="{LOGIN}/common/oauth2/authorize", client_id="{GRAPH_RESOURCE}"'
        lines["WWW-Authenticate"] = f"Bearer {challenge}"
    return _json(body, status, lines)


def throttled(seconds: int | str, now_ms: int = 0) -> Answer:
    """Graph's 429."""
    code, text = "TooManyRequests", "Too many requests"
    return graph(code, text, now_ms, 429, **{"Retry-After": str(seconds)})


def unavailable(now_ms: int = 0, **headers: str) -> Answer:
    """Graph's 503."""
    return graph("serviceNotAvailable", "The service is temporarily unavailable.", now_ms, 503, **headers)


def unauthorized_at_dataverse(directory: str, organization: str) -> Answer:
    """Dataverse's response without a body; the challenge says where its tokens are issued."""
    challenge = f"Bearer authorization_uri={LOGIN}/{directory}/oauth2/authorize, resource_id={organization}/"
    return Answer(401, {"WWW-Authenticate": challenge})


def dataverse(code: str, message: str, status: int = 403, **headers: str) -> Answer:
    """Other errors of Dataverse."""
    return _json({"error": {"code": code, "message": message}}, status, {"OData-Version": "4.0", **headers})


def _json(body: Any, status: int, headers: dict[str, str]) -> Answer:
    lines = {"Content-Type": "application/json; charset=utf-8", **headers}
    return Answer(status, lines, json.dumps(body).encode())


def _utc(now_ms: int) -> datetime:
    return datetime.fromtimestamp(now_ms / 1000, UTC)
