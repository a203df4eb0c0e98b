"""The OpenAPI 3.1 description, generated from the route table, so that description and routes cannot differ."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from manifest_auth import __version__
from manifest_auth.errors import (
    REFUSALS,
    Forbidden,
    InvalidToken,
    MethodNotAllowed,
    PayloadTooLarge,
    ReauthenticationRequired,
    Refusal,
    TokenExpired,
    Unauthenticated,
    UnsupportedMediaType,
    ValidationError,
)
from manifest_auth.http import Access, Route
from manifest_auth.http.body import FORM
from manifest_auth.http.openapi_schemas import (
    BYTES,
    GRAPHQL_BODY,
    GRAPHQL_MEMBERS,
    TEXT,
    components,
    reference,
    without_nul,
)
from manifest_auth.http.routes import refuse_in_envelope

_SIGNED_IN: tuple[type[Refusal], ...] = (Unauthenticated, InvalidToken, TokenExpired, Forbidden)
_BODY: tuple[type[Refusal], ...] = (PayloadTooLarge, UnsupportedMediaType)
#: Ends of paths whose routes never ask for a recent proof, whatever the client's settings.
_WITHOUT_PROOF = ("/sign-out", "/auth/me", "/files", "/graphql")
_JSON = "application/json"
_TAGS = {
    "Client": "For programs and people of one client.",
    "Admin": "For system admins, who run the installation.",
    "OAuth 2.0": "Access tokens of service accounts, in the shapes of its RFCs.",
    "Operations": "Health, metrics and descriptions.",
}
_SECURITY_SCHEMES = {
    "userToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "`token` of a user's sign-in, or an access token of Entra ID for a client that accepts them.",
    },
    "sessionCookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "session",
        "description": "The cookie of a user's sign-in. A request that has a bearer too is judged by that alone.",
    },
    "adminToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "`token` of a system admin's sign-in. It opens nothing under `/api/client`.",
    },
    "metricsToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "`MANIFEST_METRICS_TOKEN`, where one is set.",
    },
}
_CLIENT_ID: dict[str, Any] = {
    "name": "X-Client-ID",
    "in": "header",
    "required": False,
    "description": "Identifier or number of the client. With a credential it must agree with it.",
    "schema": TEXT,
}
_ANY_ROUTE = (
    "What any route may answer: PAYLOAD_TOO_LARGE, OVERLOADED, INTERNAL_ERROR; under /api/client on premise also "
    "LICENSE_REQUIRED and LICENSE_EXPIRED, and to tokens of Entra ID SSO_FAILED, ACCOUNT_DISABLED, RATE_LIMITED and "
    "PROVIDER_UNAVAILABLE."
)
_GOES_ON = {
    "description": "The browser goes on",
    "headers": {"Location": {"description": "The next address of the browser.", "schema": TEXT}},
}
_VERBS = {"GET": "get", "POST": "create", "PUT": "set", "PATCH": "update", "DELETE": "delete"}
#: Last parts of paths that say what a POST does.
_ACTS = frozenset({
    "check", "clear", "confirm", "continue", "deactivate", "disable", "enable", "prove", "reauthenticate", "restore",
    "retire", "rotate", "suspend", "test", "undo", "vouch",
})  # fmt: skip
_PREFIXES = {"/api/admin/auth/": "admin", "/api/admin/": "admin", "/api/client/auth/": "", "/api/client/": "", "/": ""}


def build(routes: Sequence[Route]) -> dict[str, Any]:
    """The OpenAPI document of these routes, without pages."""
    routes = [route for route in routes if route.access is not Access.PAGE]
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Manifest Auth",
            "version": __version__,
            "description": "Authentication of the Manifest API. Every answer is in one envelope; see `Failure`.",
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The server that this description comes from."}],
        "tags": [{"name": name, "description": sentence} for name, sentence in _TAGS.items()],
        "paths": paths,
        "components": {"schemas": components(routes), "securitySchemes": _SECURITY_SCHEMES},
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": _operation_id(route),
        "tags": [_tag(route.path)],
    }
    if parameters := _parameters(route):
        operation["parameters"] = parameters
    if content := _body(route):
        operation["requestBody"] = {"required": True, "content": content}
    return {**operation, "responses": _responses(route), "security": _security(route)}


def _operation_id(route: Route) -> str:
    """The name of a route, from which generators name functions: a verb and what it acts on, ``adminSuspendClient``."""
    if route.operation:
        return route.operation
    start = next(start for start in _PREFIXES if route.path.startswith(start))
    parts = route.path.removeprefix(start).split("/")
    verb = "list" if route.is_list else _VERBS[route.method]
    if route.method == "POST" and (parts[-1] in _ACTS or _is_phrase(parts[-1], parts)):
        verb, *rest = parts.pop().split("-")
        parts += ["-".join(rest)] if rest else []
    nouns: list[str] = []
    for part in parts:
        if part.startswith("{") and nouns:
            nouns[-1] = _singular(nouns[-1])
        else:
            nouns += [word.capitalize() for word in re.findall(r"[a-z0-9]+", part.removesuffix(".json"))]
    if verb == "create":
        nouns[-1] = _singular(nouns[-1])
    words = f"{verb}{''.join(nouns)}"
    prefix = _PREFIXES[start]
    return f"{prefix}{words[0].upper()}{words[1:]}" if prefix else words


def _is_phrase(part: str, parts: list[str]) -> bool:
    """Whether a part of a path says what to do with what: ``rotate-key``."""
    return len(parts) > 1 and part.partition("-")[0] in ("switch", "rotate", "reset")


def _singular(noun: str) -> str:
    return f"{noun[:-3]}y" if noun.endswith("ies") else noun.removesuffix("s")


def _parameters(route: Route) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": TEXT} for name in re.findall(r"{(\w+)}", route.path)
    ]
    if route.query is not None:
        found += _in_query(route.query)
    if not route.enveloped and route.method == "GET":
        found += [_in_text(name) for name in GRAPHQL_MEMBERS]
    return [*found, _CLIENT_ID] if route.path.startswith("/api/client/") else found


def _in_text(name: str) -> dict[str, Any]:
    """A member of GraphQL's body as a query parameter; objects are JSON there."""
    return {"name": name, "in": "query", "required": name == "query", "schema": TEXT}


def _in_query(model: type[msgspec.Struct]) -> list[dict[str, Any]]:
    schema = msgspec.json.schema(model)["$defs"][model.__name__]
    without_nul(schema)
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": of}
        for name, of in schema["properties"].items()
    ]


def _body(route: Route) -> dict[str, Any]:
    """The request's body by media type."""
    found: dict[str, Any] = {media_type: {"schema": BYTES} for media_type in route.takes}
    if route.body is not None:
        found[_JSON] = {"schema": reference(route.body.__name__)}
    if route.also_form is not None:
        found[FORM] = {"schema": reference(route.also_form.__name__)}
    if route.form is not None:
        found[FORM] = {"schema": reference(route.form.__name__)}
    if not route.enveloped and route.method == "POST":
        found[_JSON] = {"schema": GRAPHQL_BODY}
    return found


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.access is Access.CLIENT:
        return [{"userToken": []}, {"sessionCookie": []}]
    if route.access is Access.ADMIN:
        return [{"adminToken": []}]
    return [{"metricsToken": []}, {}] if route.path == "/metrics" else []


def _responses(route: Route) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for refusal in REFUSALS:
        if refusal in _refusals(route):
            by_status.setdefault(refusal.status, []).append(refusal.code)
    schema = reference("Failure" if route.enveloped else "GraphqlAnswer")
    if route.failure is not None:
        schema = reference(route.failure.__name__)
    failure: dict[str, Any] = {_JSON: {"schema": schema}}
    if route.enveloped and route.failure is None and route.refused is not refuse_in_envelope:
        failure["text/html"] = {"schema": TEXT}
    responses: dict[str, Any] = {str(route.status): _success(route)}
    responses |= {str(status): _GOES_ON for status in route.redirects}
    if route.status == 302 and route.sends:
        responses["200"] = {"description": "A page that goes on", "content": _files(route)}
    for status, codes in sorted(by_status.items()):
        responses[str(status)] = {"description": ", ".join(f"`{c}`" for c in codes), "content": failure}
    return responses | {"default": {"description": _ANY_ROUTE, "content": failure}}


def _success(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {"description": "Success"}
    if route.status == 302:
        return _GOES_ON
    if not route.enveloped:
        found["content"] = {_JSON: {"schema": reference("GraphqlAnswer")}}
    elif route.plain is not None:
        found["content"] = {_JSON: {"schema": reference(route.plain.__name__)}}
    elif route.data is not None:
        schema = {
            "type": "object",
            "required": ["success", "data"],
            "properties": {
                "success": {"type": "boolean", "const": True},
                "data": reference(route.data.__name__),
            },
        }
        found["content"] = {_JSON: {"schema": schema}}
    elif route.sends:
        found["content"] = _files(route)
    return found


def _files(route: Route) -> dict[str, Any]:
    return {media_type: {"schema": _sent(media_type)} for media_type in route.sends}


def _sent(media_type: str) -> dict[str, Any]:
    if media_type == _JSON:
        return {"type": "object"}
    return TEXT if media_type.startswith("text/") else BYTES


def _refusals(route: Route) -> set[type[Refusal]]:
    found: set[type[Refusal]] = {ValidationError, *route.refusals}
    if route.access is not Access.OPEN:
        found.update(_SIGNED_IN)
        if route.method != "GET" and not route.path.endswith(_WITHOUT_PROOF) and "/reauthenticate" not in route.path:
            found.add(ReauthenticationRequired)
    if _body(route):
        found.update(_BODY)
    if not route.enveloped and route.method == "GET":
        found.add(MethodNotAllowed)
    return found


def _tag(path: str) -> str:
    if path.startswith("/api/admin"):
        return "Admin"
    if path.startswith("/oauth2"):
        return "OAuth 2.0"
    return "Client" if path.startswith("/api/client") else "Operations"
