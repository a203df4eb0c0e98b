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
    Refusal,
    TokenExpired,
    Unauthenticated,
    UnsupportedMediaType,
    ValidationError,
)
from manifest_auth.http import Access, Route
from manifest_auth.http.body import FORM

_REF = "#/components/schemas/{name}"
_SIGNED_IN: tuple[type[Refusal], ...] = (Unauthenticated, InvalidToken, TokenExpired, Forbidden)
_BODY: tuple[type[Refusal], ...] = (ValidationError, PayloadTooLarge, UnsupportedMediaType)


def build(routes: Sequence[Route]) -> dict[str, Any]:
    """The OpenAPI document of these routes, without pages."""
    routes = [route for route in routes if route.access is not Access.PAGE]
    shapes = [each for route in routes for each in (route.body, route.data, route.form, route.plain, route.failure)]
    models = [model for model in shapes if model is not None]
    _, components = msgspec.json.schema_components(models, ref_template=_REF)
    components["Failure"] = _failure()
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Manifest Auth",
            "version": __version__,
            "description": "Authentication of the Manifest API. Every answer is in one envelope; see `Failure`.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "userToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "sessionCookie": {"type": "apiKey", "in": "cookie", "name": "session"},
                "adminToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
    }


_BYTES = {"type": "string", "format": "binary"}
_OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": True}
_TEXT: dict[str, Any] = {"type": "string"}
_DETAILS: dict[str, Any] = {
    "type": "array",
    "items": {"type": "object", "required": ["field", "message"], "properties": {"field": _TEXT, "message": _TEXT}},
}
_GRAPHQL: dict[str, Any] = {
    "query": {"type": "string", "description": "A GraphQL document, like `query { users { id email } }`."},
    "variables": _OBJECT,
    "operationName": _TEXT,
}
_GRAPHQL_ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["message", "extensions"],
    "properties": {
        "message": _TEXT,
        "path": {"type": "array", "items": {}},
        "locations": {"type": "array", "items": _OBJECT},
        "extensions": {
            "type": "object",
            "required": ["code", "requestId"],
            "properties": {"code": _TEXT, "requestId": _TEXT, "details": _DETAILS},
        },
    },
}
_GRAPHQL_ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "data": {"anyOf": [_OBJECT, {"type": "null"}]},
        "errors": {"type": "array", "items": _GRAPHQL_ERROR},
    },
}


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": re.sub(r"[^a-z0-9]+", "_", f"{route.method} {route.path}".lower()).strip("_"),
        "tags": [_tag(route.path)],
        "responses": _responses(route),
    }
    parameters = [_in_path(name) for name in re.findall(r"{(\w+)}", route.path)]
    if route.query is not None:
        parameters += _in_query(route.query)
    if not route.enveloped and route.method == "GET":
        parameters += [{"name": name, "in": "query", "required": name == "query", "schema": _TEXT} for name in _GRAPHQL]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        schema = _ref(route.body)
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if not route.enveloped and route.method == "POST":
        asked = {"type": "object", "required": ["query"], "properties": _GRAPHQL}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": asked}}}
    if route.form is not None:
        operation["requestBody"] = {"required": True, "content": {FORM: {"schema": _ref(route.form)}}}
    if route.streams:
        operation["requestBody"] = {"required": True, "content": {"*/*": {"schema": _BYTES}}}
    if route.access is Access.CLIENT:
        operation["security"] = [{"userToken": []}, {"sessionCookie": []}]
    elif route.access is Access.ADMIN:
        operation["security"] = [{"adminToken": []}]
    return operation


def _responses(route: Route) -> dict[str, Any]:
    refusals = {*route.refusals, *(_SIGNED_IN if route.access is not Access.OPEN else ())}
    if route.body is not None or (not route.enveloped and route.method == "POST"):
        refusals.update(_BODY)
    if route.query is not None or not route.enveloped:
        refusals.add(ValidationError)
    if not route.enveloped and route.method == "GET":
        refusals.add(MethodNotAllowed)
    by_status: dict[int, list[str]] = {}
    for refusal in REFUSALS:
        if refusal in refusals:
            by_status.setdefault(refusal.status, []).append(refusal.code)
    responses: dict[str, Any] = {str(route.status): {"description": "Success"}}
    if route.sends:
        responses[str(route.status)]["content"] = {"*/*": {"schema": _BYTES}}
    if route.data is not None:
        data = _ref(route.data)
        schema = {
            "type": "object",
            "required": ["success", "data"],
            "properties": {"success": {"const": True}, "data": data},
        }
        responses[str(route.status)]["content"] = {"application/json": {"schema": schema}}
    if route.plain is not None:
        responses[str(route.status)]["content"] = {"application/json": {"schema": _ref(route.plain)}}
    shape = {"$ref": _REF.format(name="Failure")} if route.failure is None else _ref(route.failure)
    failure: dict[str, Any] = {"application/json": {"schema": shape}}
    if not route.enveloped:
        failure = responses[str(route.status)]["content"] = {"application/json": {"schema": _GRAPHQL_ANSWER}}
    for status, codes in sorted(by_status.items()):
        responses[str(status)] = {"description": ", ".join(f"`{c}`" for c in codes), "content": failure}
    return responses


def _ref(model: type[msgspec.Struct]) -> dict[str, Any]:
    return {"$ref": _REF.format(name=model.__name__)}


def _tag(path: str) -> str:
    if path.startswith("/api/admin"):
        return "Admin"
    if path.startswith("/oauth2"):
        return "OAuth 2.0"
    return "Client" if path.startswith("/api/client") else "Operations"


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _in_query(model: type[msgspec.Struct]) -> list[dict[str, Any]]:
    schema = msgspec.json.schema(model)["$defs"][model.__name__]
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": of}
        for name, of in schema["properties"].items()
    ]


def _failure() -> dict[str, Any]:
    error = {
        "type": "object",
        "required": ["message", "code", "requestId"],
        "properties": {
            "message": _TEXT,
            "code": {"enum": [r.code for r in REFUSALS]},
            "requestId": _TEXT,
            "details": _DETAILS,
            "challenge": {**_TEXT, "description": "With `MFA_REQUIRED` alone: continues the sign-in."},
            "expiresIn": {"type": "integer", "description": "With `MFA_REQUIRED` alone: life of `challenge`, seconds."},
            "methods": {
                "type": "array",
                "items": _TEXT,
                "description": "With `MFA_REQUIRED` where a factor has to be enrolled: those allowed.",
            },
        },
    }
    return {
        "type": "object",
        "required": ["success", "error"],
        "properties": {"success": {"const": False}, "error": error},
    }
