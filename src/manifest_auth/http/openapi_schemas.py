"""The schemas of the OpenAPI description: bodies and answers from wire models, refusals, GraphQL."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from manifest_auth.errors import REFUSALS
from manifest_auth.http import Route
from manifest_auth.text.json_schema import NO_NUL
from manifest_auth.text.models import MORE_SCHEMA, READ_ONLY, objects_of

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
    "query": {"type": "string", "description": "A GraphQL document, like `query { users { id email } }`."},
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
    "properties": {
        "data": {"anyOf": [OBJECT, {"type": "null"}]},
        "errors": {"type": "array", "items": _GRAPHQL_ERROR},
    },
}
_SENT_BACK = {"description": "What was read may be sent back; it changes nothing."}


def reference(name: str) -> dict[str, Any]:
    """A reference to a schema of the components."""
    return {"$ref": REF.format(name=name)}


def components(routes: Sequence[Route]) -> dict[str, Any]:
    """The schemas of all bodies and answers of these routes, by name.

    An object within a body has ``additionalProperties: false`` where the server refuses unknown members. An answer has
    it nowhere: a newer server may answer more; nor has a form, whose unknown fields are ignored. So a model of both
    stands there twice, in bodies as ``…Body``.
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
    for name in sorted(both):  # in one order each time
        asked[f"{name}Body"] = {**asked.pop(name), "title": f"{name}Body"}
    renamed = {REF.format(name=name): REF.format(name=f"{name}Body") for name in both}
    found = {**_cleaned(asked, renamed), **_cleaned(told, {}), "Failure": _failure()}
    return found | {"GraphqlAnswer": _GRAPHQL_ANSWER} if any(not route.enveloped for route in routes) else found


def unique(models: Any) -> list[type[msgspec.Struct]]:
    """The models, each once."""
    return [model for model in dict.fromkeys(models) if model is not None]


def _close(schemas: dict[str, Any], routes: Sequence[Route]) -> None:
    """Closes the objects in which unknown members are refused. Raises ValueError when a model is in a body of either
    kind: no schema could say both."""
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
    """Says of each text of what is sent that it has no NUL, where nothing is said of its characters."""
    for one in schema if isinstance(schema, list) else schema.values() if isinstance(schema, dict) else ():
        without_nul(one)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "string" and not schema.keys() & _SAID:
        schema.update(NO_NUL)
    if "$ref" in schema and "enum" in schema:  # of the values that it refers to, some
        del schema["$ref"]


_SAID = {"pattern", "enum", "const", "format"}


def _tell_defaults(schemas: dict[str, Any]) -> None:
    """Moves defaults of members of bodies into their descriptions, those apart that mean nothing: generators of types
    make a member with ``default`` one that has to be sent."""
    for schema in schemas.values():
        for member in schema.get("properties", {}).values():
            if default := member.pop("default", None):
                member["description"] = f"{member.get('description', '')} Default: `{json.dumps(default)}`.".strip()


def _cleaned(value: Any, renamed: dict[str, str]) -> Any:
    """With new names of references, and descriptions without the markup of docstrings."""
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
            "challenge": {**TEXT, "description": "With `MFA_REQUIRED` alone: continues the sign-in."},
            "expiresIn": {"type": "integer", "description": "With `MFA_REQUIRED` alone: life of `challenge`, seconds."},
            "methods": {
                "type": "array",
                "items": TEXT,
                "description": "With `MFA_REQUIRED` where a factor has to be enrolled: those allowed.",
            },
        },
    }
    return {
        "type": "object",
        "required": ["success", "error"],
        "properties": {"success": {"type": "boolean", "const": False}, "error": error},
    }
