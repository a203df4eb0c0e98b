"""A request to each route, with the query and body that its description requires."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from tests.http.requests.described_bodies import fits
from tests.support.application import App, Reply
from tests.support.pictures import Picture
from tests.support.routes import Route, filled, openapi_document

_CLIENT = "/api/client"
_MACHINE, _DAYS = f"{_CLIENT}/service-accounts/{{account}}", {"expiresInDays": 7}
_OIDC = {"issuer": "http://127.0.0.1:9/op", "clientId": "c", "clientSecret": "s"}
#: Bodies with an effect, for routes where a minimal body from the description has none, or isn't enough.
_KNOWN: dict[str, Any] = {
    f"PATCH {_CLIENT}/settings": {"language": "de"},
    f"PATCH {_CLIENT}/auth/me": {"title": "Fitter"},
    f"PUT {_CLIENT}/branding/logo": Picture().encoded(),
    f"POST {_CLIENT}/files": b"\x89PNG\r\n\x1a\n" + bytes(64),
    f"POST {_CLIENT}/providers": {"name": "company", "oidc": _OIDC},
    f"PATCH {_CLIENT}/providers/{{provider}}": {"displayName": "Company"},
    f"POST {_CLIENT}/directories": {"directory": "d0d0d0d0-7777-4000-8000-000000000001"},
    f"POST {_CLIENT}/domains": {"domain": "claimed.example"},
    f"POST {_CLIENT}/service-accounts": {"name": "nightly", "roles": ["Viewer"]},
    f"POST {_CLIENT}/scim": {"name": "okta"},
    f"PATCH {_CLIENT}/scim/{{connection}}": {"adoptUsers": True},
    f"PATCH {_CLIENT}/apps/{{app}}": {"name": "Else"},
    f"PATCH {_MACHINE}": {"description": "Else"},
    f"POST {_MACHINE}/keys": _DAYS,
    f"POST {_MACHINE}/secrets": _DAYS,
}
#: Texts; each pattern matches one of them.
_TEXTS = ("xx", "xxxx", "x@x.example", "x.example", "d0d0d0d0-7777-4000-8000-000000000002")


def is_known(route: Route) -> bool:
    """Whether the body has an effect, and isn't just valid according to the description."""
    return _known(route) in _KNOWN or _schema(route) is None


def _known(route: Route) -> str:
    """The route of users that does the same as a system admins' route."""
    return str(route).replace("/api/admin/clients/{client}/", f"{_CLIENT}/")


def body_of(route: Route) -> Any:
    """The body of a route, as JSON or PNG bytes; None if it has none."""
    schema = _schema(route)
    return _KNOWN.get(_known(route), None if schema is None else _least(schema))


def target(route: Route, /, **values: object) -> str:
    """The address of the route with the query that it needs. ``values`` are parameters."""
    asked = {
        one["name"]: _least(one["schema"])
        for one in _operation(route).get("parameters", ())
        if one["in"] == "query" and one["required"]
    }
    path = filled(route.path, **values)
    return f"{path}?{urlencode(asked)}" if asked else path


async def send(app: App, route: Route, token: str | None, /, **values: object) -> Reply:
    """Send a request to the route. ``values`` are parameters of its address."""
    path, body = target(route, **values), body_of(route)
    if isinstance(body, bytes):
        return await app.send(route.method, path, token=token, content=body, headers={"Content-Type": "image/png"})
    return await app.send(route.method, path, body, token=token)


def _operation(route: Route) -> Any:
    return openapi_document()["paths"][route.path][route.method.lower()]


def _content(route: Route) -> Any:
    return _operation(route).get("requestBody", {}).get("content", {})


def _schema(route: Route) -> Any:
    return _content(route).get("application/json", {}).get("schema")


def _least(schema: Any) -> Any:
    """A small value that the schema allows."""
    if "$ref" in schema:
        return _least(openapi_document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "enum" in schema or "const" in schema:
        return schema.get("enum", [schema.get("const")])[0]
    if "anyOf" in schema:
        return _least(schema["anyOf"][0])
    kind = schema.get("type")
    if kind == "object":
        return _members(schema)
    if kind == "array":
        return [_least(schema["items"]) for _ in range(schema.get("minItems", 0))]
    if kind == "string":
        return _text(schema)
    return schema.get("minimum", 0) if kind == "integer" else False


def _members(schema: Any) -> Any:
    """The required members, and an additional one if the schema needs it."""
    members = schema.get("properties", {})
    needed = {name: _least(members[name]) for name in schema.get("required", ())}
    if fits(schema, needed):
        return needed
    return next(made for name in members if fits(schema, made := {**needed, name: _least(members[name])}))


def _text(schema: Any) -> str:
    least, most = schema.get("minLength", 0), schema.get("maxLength", 1000)
    texts = (each for each in ("x" * max(1, least), *_TEXTS) if least <= len(each) <= most)
    found = next((each for each in texts if re.search(schema.get("pattern", ""), each)), None)
    assert found is not None, f"give {__name__}._TEXTS one that fits {schema}"
    return found
