"""The OpenAPI 3.1 description, generated from the route table, so that it always matches the routes."""

from __future__ import annotations

import json
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
from manifest_auth.http.request import FORM
from manifest_auth.http.routes import refuse_in_envelope
from manifest_auth.permissions import Permission
from manifest_auth.text.models import MORE_SCHEMA, NO_NUL, READ_ONLY, objects_of

REF = "#/components/schemas/{name}"
TEXT: dict[str, Any] = {"type": "string"}
BYTES: dict[str, Any] = {"type": "string", "format": "binary"}
OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": True}
_DETAIL: dict[str, Any] = {
    "type": "object",
    "required": ["field", "message"],
    "properties": {"field": TEXT, "message": TEXT},
}
_DETAILS: dict[str, Any] = {"type": "array", "items": _DETAIL}
GRAPHQL_MEMBERS: dict[str, Any] = {
    "query": {"type": "string", "description": "A GraphQL document, for example `query { users { id email } }`."},
    "variables": OBJECT,
    "operationName": TEXT,
}
_GRAPHQL_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["message", "extensions"],
    "properties": {
        "message": TEXT,
        "path": {"type": "array", "items": {"anyOf": [TEXT, {"type": "integer"}]}},
        "locations": {"type": "array", "items": OBJECT},
        "extensions": {
            "type": "object",
            "required": ["code", "requestId"],
            "properties": {"code": TEXT, "requestId": TEXT, "details": _DETAILS},
        },
    },
}
GRAPHQL_BODY: dict[str, Any] = {"type": "object", "required": ["query"], "properties": GRAPHQL_MEMBERS}
_GRAPHQL_ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {"data": {"anyOf": [OBJECT, {"type": "null"}]}, "errors": {"type": "array", "items": _GRAPHQL_ERROR}},
}
_SENT_BACK = {"description": "You can send back the value that you received. It changes nothing."}


def reference(name: str) -> dict[str, Any]:
    """Returns a reference to a schema in the components."""
    return {"$ref": REF.format(name=name)}


def components(routes: Sequence[Route]) -> dict[str, Any]:
    """Returns the schemas of all bodies and responses of these routes, by name.

    Objects in bodies have ``additionalProperties: false`` if the server rejects unknown members. Responses never have
    it, because a newer server can return more. Forms don't either, because their unknown fields are ignored. So a model
    that bodies and responses share is listed twice, in bodies as ``…Body``.
    """
    bodies, forms = (unique(getattr(route, name) for route in routes) for name in ("body", "also_form"))
    _, asked = msgspec.json.schema_components([*bodies, *forms], ref_template=REF)
    shown = unique(getattr(route, name) for route in routes for name in ("data", "form", "plain", "failure"))
    _, told = msgspec.json.schema_components(shown, ref_template=REF)
    _close(asked, routes)
    _tell_defaults(asked)
    for name in asked:
        without_nul(asked[name])
    for form in unique(route.form for route in routes):
        told[form.__name__] |= {"additionalProperties": {"type": "string"}, **getattr(form, MORE_SCHEMA, {})}
        without_nul(told[form.__name__])
    both = {name for name in asked.keys() & told.keys() if asked[name] != told[name]}
    for name in sorted(both):  # in the same order each time
        asked[f"{name}Body"] = {**asked.pop(name), "title": f"{name}Body"}
    renamed = {REF.format(name=name): REF.format(name=f"{name}Body") for name in both}
    found = {**_cleaned(asked, renamed), **_cleaned(told, {}), "Failure": _failure()}
    return found | {"GraphqlAnswer": _GRAPHQL_ANSWER} if any(not route.enveloped for route in routes) else found


def unique(models: Any) -> list[type[msgspec.Struct]]:
    """The models, without duplicates."""
    return [model for model in dict.fromkeys(models) if model is not None]


def _close(schemas: dict[str, Any], routes: Sequence[Route]) -> None:
    """Closes the objects in which unknown members are rejected. Raises ValueError if a model occurs in bodies of both
    kinds, because no schema could describe both."""
    strict, tolerant = (
        {model for route in routes if route.body and route.ignore_unknown is kind for model in objects_of(route.body)}
        for kind in (False, True)
    )
    if strict & tolerant:
        raise ValueError(f"in bodies that ignore unknown members, and in others: {strict & tolerant}")
    for model in strict | tolerant:
        schemas[model.__name__] |= getattr(model, MORE_SCHEMA, {})
    for model in strict:
        schema = schemas[model.__name__]
        schema["additionalProperties"] = False
        for name in sorted(getattr(model, READ_ONLY, ())):
            schema["properties"][name] = {**_SENT_BACK, "readOnly": True}


def without_nul(schema: Any) -> None:
    """States that texts in requests contain no NUL, unless their characters are already described."""
    for one in schema if isinstance(schema, list) else schema.values() if isinstance(schema, dict) else ():
        without_nul(one)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "string" and not schema.keys() & _SAID:
        schema.update(NO_NUL)
    if "$ref" in schema and "enum" in schema:  # some of the schemas that it refers to
        del schema["$ref"]


_SAID = {"pattern", "enum", "const", "format"}


def _tell_defaults(schemas: dict[str, Any]) -> None:
    """Moves defaults of body members into their descriptions, except meaningless ones, because type generators require
    members that have a ``default``."""
    for schema in schemas.values():
        for member in schema.get("properties", {}).values():
            if default := member.pop("default", None):
                member["description"] = f"{member.get('description', '')} Default: `{json.dumps(default)}`.".strip()


def _cleaned(value: Any, renamed: dict[str, str]) -> Any:
    """Renames references, and removes docstring markup from descriptions."""
    if isinstance(value, list):
        return [_cleaned(one, renamed) for one in value]
    if not isinstance(value, dict):
        return value
    done = {name: _cleaned(one, renamed) for name, one in value.items()}
    if isinstance(text := done.get("description"), str):
        done["description"] = re.sub(r":\w+:`~?\.*([^`]*)`|``(.+?)``", lambda found: f"`{found[1] or found[2]}`", text)
    if isinstance(target := done.get("$ref"), str):
        done["$ref"] = renamed.get(target, target)
    return done


def _failure() -> dict[str, Any]:
    error = {
        "type": "object",
        "required": ["message", "code", "requestId"],
        "properties": {
            "message": TEXT,
            "code": {"type": "string", "enum": [r.code for r in REFUSALS]},
            "requestId": TEXT,
            "details": _DETAILS,
            "challenge": {**TEXT, "description": "Only with `MFA_REQUIRED`: continues the sign-in."},
            "expiresIn": {
                "type": "integer",
                "description": "Only with `MFA_REQUIRED`: lifetime of `challenge`, seconds.",
            },
            "methods": {
                "type": "array",
                "items": TEXT,
                "description": "Only with `MFA_REQUIRED`, if a factor must be set up: the allowed kinds.",
            },
        },
    }
    return {
        "type": "object",
        "required": ["success", "error"],
        "properties": {"success": {"type": "boolean", "const": False}, "error": error},
    }


_SIGNED_IN: tuple[type[Refusal], ...] = (Unauthenticated, InvalidToken, TokenExpired, Forbidden)
_BODY: tuple[type[Refusal], ...] = (PayloadTooLarge, UnsupportedMediaType)
_JSON = "application/json"
_TAGS = {
    "Client": "For programs and users of one client.",
    "Admin": "For system admins, who manage the installation.",
    "OAuth 2.0": "Access tokens of service accounts, as defined in the RFCs.",
    "SCIM 2.0": "Users and groups, for identity providers, as defined in the RFCs.",
    "Operations": "Health, metrics, and descriptions.",
}
_SECURITY_SCHEMES = {
    "userToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "`token` of a user's sign-in, an access token of an app that the user lets act, or one of Entra "
        "ID for a client that accepts them.",
    },
    "sessionCookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "session",
        "description": "Session cookie of a user. If a request also has a bearer token, the cookie is ignored.",
    },
    "adminToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "`token` of a system admin's sign-in. It can't be used under `/api/client`.",
    },
    "serviceKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "mfst_key",
        "description": "An API key of a service account.",
    },
    "serviceToken": {
        "type": "oauth2",
        "description": "An access token of a service account.",
        "flows": {
            "clientCredentials": {
                "tokenUrl": "/oauth2/token",
                "scopes": {permission.value: f"The permission `{permission.value}`." for permission in Permission},
            }
        },
    },
    "clientSecret": {
        "type": "http",
        "scheme": "basic",
        "description": "Client ID and secret of a service account. You can also send both in the form, or use "
        "an assertion.",
    },
    "scimToken": {"type": "http", "scheme": "bearer", "description": "A token of a SCIM connection."},
    "metricsToken": {"type": "http", "scheme": "bearer", "description": "`MANIFEST_METRICS_TOKEN`, if it is set."},
}
_CLIENT_ID: dict[str, Any] = {
    "name": "X-Client-ID",
    "in": "header",
    "required": False,
    "description": "Identifier or number of the client. It must match the credential, if there is one.",
    "schema": TEXT,
}
_FORWARDED_FOR: dict[str, Any] = {
    "name": "Manifest-Forwarded-For",
    "in": "header",
    "required": False,
    "description": "IP address of the user, from a service account with `mayForwardAddress`. Requires its "
    "`serviceKey` or `serviceToken` as bearer token, which the route doesn't need otherwise.",
    "schema": TEXT,
}
_ANY_ROUTE = (
    "Errors of any route: PAYLOAD_TOO_LARGE, OVERLOADED, INTERNAL_ERROR. Under /api/client on "
    "premise also LICENSE_REQUIRED and LICENSE_EXPIRED. With tokens of Entra ID also SSO_FAILED, "
    "ACCOUNT_DISABLED, RATE_LIMITED, and PROVIDER_UNAVAILABLE."
)
_GOES_ON = {
    "description": "Redirects the browser",
    "headers": {"Location": {"description": "The next URL of the browser.", "schema": TEXT}},
}
_VERBS = {"GET": "get", "POST": "create", "PUT": "set", "PATCH": "update", "DELETE": "delete"}
#: Last path segments that name the action of a POST.
_ACTS = frozenset({
    "check", "clear", "confirm", "continue", "deactivate", "disable", "enable", "prove", "reauthenticate", "restore",
    "retire", "rotate", "suspend", "test", "undo", "vouch",
})  # fmt: skip
_PREFIXES = {"/api/admin/auth/": "admin", "/api/admin/": "admin", "/api/client/auth/": "", "/api/client/": "", "/": ""}


def build(routes: Sequence[Route]) -> dict[str, Any]:
    """Builds the OpenAPI document of these routes, without pages."""
    routes = [route for route in routes if route.access is not Access.PAGE]
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Manifest Auth",
            "version": __version__,
            "description": "Authentication for the Manifest API. Every response has the same envelope; see `Failure`.",
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The server that published this description."}],
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
    """Returns the name of a route, from which generators derive function names: a verb and its object, such as
    ``adminSuspendClient``."""
    if route.operation:
        return route.operation
    start = next(start for start in _PREFIXES if route.path.startswith(start))
    parts = route.path.removeprefix(start).split("/")
    verb = "list" if route.is_list else _VERBS[route.method]
    is_phrase = len(parts) > 1 and parts[-1].partition("-")[0] in ("switch", "rotate", "reset")  # like ``rotate-key``
    if route.method == "POST" and (parts[-1] in _ACTS or is_phrase):
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


def _singular(noun: str) -> str:
    return f"{noun[:-3]}y" if noun.endswith("ies") else noun.removesuffix("s")


def _parameters(route: Route) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": TEXT} for name in re.findall(r"{(\w+)}", route.path)
    ]
    if route.query is not None:
        found += _in_query(route.query)
    if not route.enveloped and route.method == "GET":
        # Members of a GraphQL request body, in which objects are JSON.
        found += [{"name": n, "in": "query", "required": n == "query", "schema": TEXT} for n in GRAPHQL_MEMBERS]
    if route.forwards:
        found.append(_FORWARDED_FOR)
    return [*found, _CLIENT_ID] if route.path.startswith("/api/client/") else found


def _in_query(model: type[msgspec.Struct]) -> list[dict[str, Any]]:
    schema = msgspec.json.schema(model)["$defs"][model.__name__]
    without_nul(schema)
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": of}
        for name, of in schema["properties"].items()
    ]


def _body(route: Route) -> dict[str, Any]:
    """Returns the request's body by media type."""
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
        needed = [route.permission.value] if route.permission is not None else []
        machines: list[dict[str, list[str]]] = [{"serviceKey": []}, {"serviceToken": needed}]
        return [{"userToken": []}, {"sessionCookie": []}, *(machines if route.for_machines else [])]
    if route.form is not None and "client_secret" in route.form.__struct_fields__:
        return [{"clientSecret": []}, {}]
    if route.access is Access.ADMIN:
        return [{"adminToken": []}]
    if route.path == "/metrics":
        return [{"metricsToken": []}, {}]
    # Routes that accept a forwarded address name no credential, because generated clients would require it. The docs
    # describe it.
    bearer = "scimToken" if route.path.startswith("/scim/") else "userToken"
    return [{bearer: []}] if Unauthenticated in route.refusals else []


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
    responses |= {str(status): {"description": "Success"} for status in route.also}
    if route.status == 302 and route.sends:
        responses["200"] = {"description": "Page that redirects the browser", "content": _files(route)}
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
            "properties": {"success": {"type": "boolean", "const": True}, "data": reference(route.data.__name__)},
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
    if route.access is not Access.OPEN or route.forwards:
        found.update(_SIGNED_IN)
        if route.asks:
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
    if path.startswith("/scim"):
        return "SCIM 2.0"
    return "Client" if path.startswith("/api/client") else "Operations"
