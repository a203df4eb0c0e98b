"""The definition of a Power Apps custom connector: OpenAPI 2.0 from the route table, with Entra ID sign-in.

Power Apps reads only OpenAPI 2.0, so the OpenAPI 3 document is converted: references, nullable members, and constants.
It contains the routes of signed-in users. An app calls them with its Entra ID token.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from manifest_auth import __version__
from manifest_auth.http import Access, Route, openapi
from manifest_auth.protocols.microsoft import Cloud

_SCOPE = "api://YOUR-APPLICATION-ID/access_as_user"
_GRAPHQL = "/api/client/graphql"
#: Parts of paths under which users change their sign-in methods.
_OF_ONE_PERSON = ("/identities", "/second-factors", "/passkeys", "/reauthenticate", "/devices", "/badge-pin")


def build(routes: Sequence[Route], public_url: str, cloud: Cloud) -> dict[str, Any]:
    """Builds the definition for a public address and cloud, ready to import."""
    described = openapi.build([route for route in routes if _is_for_apps(route)])
    url = urlsplit(public_url)
    used: set[str] = set()
    paths: dict[str, Any] = {}
    for path, operations in described["paths"].items():
        paths[path] = {method: _operation(_name(method, path), found, used) for method, found in operations.items()}
    schemas = described["components"]["schemas"]
    definitions = {name: _schema(schema) for name, schema in schemas.items() if name != "Failure"}
    authorize = f"{cloud.login}/common/oauth2/v2.0"
    return {
        "swagger": "2.0",
        "info": {"title": "Manifest", "version": __version__, "description": "Templates, jobs, and users of Manifest."},
        "host": url.netloc,
        "basePath": "/",
        "schemes": [url.scheme],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "paths": paths,
        "definitions": definitions,
        "securityDefinitions": {
            "entra": {
                "type": "oauth2",
                "flow": "accessCode",
                "authorizationUrl": f"{authorize}/authorize",
                "tokenUrl": f"{authorize}/token",
                "scopes": {_SCOPE: "Call the Manifest API as the signed-in user"},
            }
        },
        "security": [{"entra": [_SCOPE]}],
    }


def _is_for_apps(route: Route) -> bool:
    """Whether the connector includes the route. Excludes routes that need a browser or a password, file routes, because
    Power Apps doesn't send their media type, the caller's profile, and the administration of a client."""
    if route.access is not Access.CLIENT or (route.path == _GRAPHQL and route.method == "GET"):
        return False
    needs_person = (
        route.path.endswith(("/password", "/email"))
        or any(part in route.path for part in _OF_ONE_PERSON)
        or route.method == "PATCH"
    )
    return route.path == _GRAPHQL or (route.path.startswith("/api/client/auth/") and not needs_person)


def _name(method: str, path: str) -> str:
    """The name of an action, which apps use in their formulas. It is stable, because it depends only on the method and
    path."""
    return "".join(word.capitalize() for word in re.split(r"[^a-z0-9]+", f"{method} {path}".lower()) if word)


def _operation(name: str, found: dict[str, Any], used: set[str]) -> dict[str, Any]:
    parameters = [
        {"name": p["name"], "in": p["in"], "required": p["required"], **_plain(_schema(p["schema"]))}
        for p in found.get("parameters", [])
        if p["in"] != "header"  # set by a policy of the connector
    ]
    body: dict[str, Any] = next(iter(found.get("requestBody", {}).get("content", {}).values()), {})
    schema = body.get("schema")
    if schema is not None:
        parameters.append({"name": "body", "in": "body", "required": True, "schema": _schema(schema)})
    success = next(status for status in found["responses"] if status.startswith("2"))
    answer = found["responses"][success].get("content", {}).get("application/json", {}).get("schema")
    responses: dict[str, Any] = {
        success: {"description": "Success", "schema": _schema(answer) if answer else {"type": "object"}},
        "default": {"description": "Refused", "schema": {"type": "object"}},
    }
    assert name not in used
    used.add(name)
    operation = {"operationId": name, "summary": found["summary"][:80], "responses": responses}
    return {**operation, "parameters": parameters} if parameters else operation


#: Keywords of JSON Schema 2020-12 that don't exist in OpenAPI 2.0.
_NOT_IN_2_0 = ("not", "dependentRequired")


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema of a parameter outside the body, where OpenAPI 2.0 allows no nesting."""
    return (
        {name: value for name, value in schema.items() if name != "title"} if "type" in schema else {"type": "string"}
    )


def _schema(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": schema["$ref"].replace("#/components/schemas/", "#/definitions/")}
    if "anyOf" in schema:
        kinds = [kind for kind in schema["anyOf"] if kind.get("type") != "null"]
        nullable = {"x-nullable": True} if len(kinds) < len(schema["anyOf"]) else {}
        rest = {name: value for name, value in schema.items() if name != "anyOf"}
        if len(kinds) != 1:
            return {**_schema(rest), **nullable}
        only = _schema(kinds[0])
        return only if "$ref" in only else {**_schema(rest), **only, **nullable}
    done: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "const" and isinstance(value, bool):
            done["type"] = "boolean"
        elif name == "const":
            done |= {"enum": [value], "type": "string"}
        elif name in ("properties", "definitions"):
            done[name] = {key: _schema(member) for key, member in value.items()}
        elif name == "required":
            done |= {name: value} if value else {}  # OpenAPI 2.0 forbids an empty list
        elif name in _NOT_IN_2_0 or (name == "default" and value is None):
            continue  # OpenAPI 2.0 has no null
        elif name in ("enum", "default"):
            done[name] = value
        else:
            done[name] = _schema(value)
    return done
