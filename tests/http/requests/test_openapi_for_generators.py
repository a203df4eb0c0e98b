"""Facts that client generators read from ``/openapi.json`` match the server: bodies, names, headers, credentials."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.http.requests.test_wrong_members import OPEN_ENDED, UNKNOWN, tokens, wrong
from tests.support.application import App
from tests.support.envelope import check_refusal
from tests.support.matrix import matrix
from tests.support.routes import ROUTES, Route, filled, openapi_document
from tests.support.rules import rule

__all__ = ["tokens"]
DOCUMENT = openapi_document()
WITH_BODY = [route for route in ROUTES if route.members]
STRANGE = "no-such-member"
ME = "/api/client/auth/me"
#: Routes that machines don't call.
CLOSED = re.compile(r"/api/client/(auth/|service-accounts|providers|domains|directories|apps|devices|scim)")


def forwards(route: Route) -> bool:
    """Whether a backend can forward its caller's address there."""
    return (route.method, route.who) == ("POST", "open") and route.path.startswith("/api/client/auth/")


def operation(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][route.path][route.method.lower()]
    return found


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return DOCUMENT["components"]["schemas"][name] if name else schema


def body_of(route: Route) -> dict[str, Any]:
    content = operation(route)["requestBody"]["content"]
    return resolved(content.get("application/json", content.get("application/x-www-form-urlencoded"))["schema"])


def objects(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object with members in a body, by its path in errors: ``settings.password.``, ``groupRoles[0].``."""
    schema = resolved(schema)
    if "properties" in schema:
        yield path, schema
    for name, one in schema.get("properties", {}).items():
        for choice in (resolved(one), *map(resolved, one.get("anyOf", ()))):
            if "items" in choice:
                yield from objects(choice["items"], f"{path}{name}[0].")
            else:
                yield from objects(choice, f"{path}{name}.")


def with_strange_member(path: str) -> dict[str, Any]:
    """A body with an unknown member in the object at that path."""
    value: Any = {STRANGE: 1}
    for part in reversed(path.split(".")[:-1]):
        value = {part.removesuffix("[0]"): [value] if part.endswith("[0]") else value}
    found: dict[str, Any] = value
    return found


@rule("BODY-UNKNOWN")
@matrix("route", WITH_BODY)
async def test_a_closed_object_rejects_members_and_an_open_one_takes_them(
    app: App, tokens: dict[str, str | None], route: Route
) -> None:
    path = filled(route.path, client="acme", user=app.ids["author@acme.example"])
    found = list(objects(body_of(route)))
    assert found
    for at, schema in found:
        is_closed = schema.get("additionalProperties", True) is False
        assert is_closed == (route.path not in OPEN_ENDED), at
        if is_closed:
            said = await wrong(app, route.method, path, with_strange_member(at), tokens[route.who])
            assert said[f"{at}{STRANGE}"] == UNKNOWN


def test_answers_are_open_since_a_newer_server_can_answer_more() -> None:
    bodies = {id(schema) for route in WITH_BODY for _, schema in objects(body_of(route))}
    schemas = DOCUMENT["components"]["schemas"]
    assert [name for name, of in schemas.items() if id(of) not in bodies and "additionalProperties" in of] == []


async def test_members_that_can_be_sent_back_are_read_only(app: App, tokens: dict[str, str | None]) -> None:
    [settings] = [one for one in WITH_BODY if (one.method, one.path) == ("PATCH", "/api/client/settings")]
    read_only = [name for name, of in body_of(settings)["properties"].items() if of.get("readOnly")]
    assert read_only == ["unconfirmed"]
    shown = await app.get("/api/client/settings", token=tokens["client"])
    assert set(read_only) < set(shown.data)
    assert (await app.send("PATCH", "/api/client/settings", shown.data, token=tokens["client"])).status == 200


async def test_each_client_route_takes_the_header_that_names_a_client(app: App, tokens: dict[str, str | None]) -> None:
    for route in ROUTES:
        headers = [one for one in operation(route).get("parameters", []) if one["in"] == "header"]
        expected = ["X-Client-ID"] if route.path.startswith("/api/client/") else []
        expected = ["Manifest-Forwarded-For", *expected] if forwards(route) else expected
        assert [one["name"] for one in headers] == expected, route.path
        assert not any(one["required"] for one in headers)
        if forwards(route):  # generated clients would require a credential for every sign-in
            assert "`serviceKey` or `serviceToken`" in headers[0]["description"]
    for route in [one for one in ROUTES if one.who == "client"]:
        reply = await app.send(
            route.method, filled(route.path), {}, token=tokens["client"], headers={"X-Client-ID": "globex"}
        )
        assert reply.status == 403, route.path


def test_operations_have_the_names_of_functions() -> None:
    names = [operation(route)["operationId"] for route in ROUTES]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z]+([A-Z][a-z]+[0-9]*)*", name)] == []
    assert {"signIn", "getMe", "listSessions", "uploadFile", "adminCreateClient", "adminSuspendClient"} <= set(names)
    for route in ROUTES:
        assert operation(route)["operationId"].startswith("admin") == route.path.startswith("/api/admin"), route.path


async def test_credentials_are_those_that_the_routes_take(app: App, tokens: dict[str, str | None]) -> None:
    expected: dict[str, list[dict[str, list[str]]]] = {
        "client": [{"userToken": []}, {"sessionCookie": []}],
        "admin": [{"adminToken": []}],
        "open": [],
    }
    for route in ROUTES:
        told = operation(route)["security"]
        machines = [one for one in told if one.keys() & {"serviceKey", "serviceToken"}]
        if route.path.endswith(("/token", "/revoke", "/introspect")) and route.path.startswith(("/oauth2/", "/o/")):
            assert told == [{"clientSecret": []}, {}]
        elif route.path.startswith("/scim/"):
            assert told == ([] if route.path.endswith("/ServiceProviderConfig") else [{"scimToken": []}])
        elif route.path.endswith("/userinfo"):
            assert told == [{"userToken": []}]
        elif route.path != "/metrics":
            takes = route.who == "client" and (
                (route.method, route.path) == ("GET", ME) or not CLOSED.match(route.path)
            )
            assert [*map(list, machines)] == ([["serviceKey"], ["serviceToken"]] if takes else []), route.path
            assert [one for one in told if one not in machines] == expected[route.who], route.path
    trail = operation(next(one for one in ROUTES if (one.method, one.path) == ("GET", "/api/client/audit")))["security"]
    assert {"serviceToken": ["audit:read"]} in trail
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert {name: (of["type"], of.get("scheme", of.get("in"))) for name, of in schemes.items()} == {
        "userToken": ("http", "bearer"), "sessionCookie": ("apiKey", "cookie"), "adminToken": ("http", "bearer"),
        "serviceKey": ("http", "bearer"), "serviceToken": ("oauth2", None), "clientSecret": ("http", "basic"),
        "metricsToken": ("http", "bearer"), "scimToken": ("http", "bearer"),
    }  # fmt: skip
    cookie = (await app.sign_in("admin@acme.example")).cookie(schemes["sessionCookie"]["name"])
    assert (await app.me(cookie=cookie)).status == 200
    check_refusal(await app.get("/api/admin/auth/me", token=tokens["client"]), 401, "INVALID_TOKEN")
    check_refusal(await app.me(tokens["admin"]), 401, "INVALID_TOKEN")


@matrix("route", [one for one in ROUTES if one.streams and not one.path.startswith("/scim/")])
async def test_uploads_say_which_media_types_they_take(app: App, tokens: dict[str, str | None], route: Route) -> None:
    content = operation(route)["requestBody"]["content"]
    assert "image/png" in content
    assert not any("*" in media_type for media_type in content)
    path = f"{filled(route.path, client='acme')}?name=x" if "files" in route.path else filled(route.path, client="acme")
    token = (await app.sign_in("operator@acme.example")).data["token"] if "files" in route.path else tokens[route.who]
    for media_type in (*content, "image/svg+xml", "application/json"):
        reply = await app.send(route.method, path, content=b"\0", token=token, headers={"Content-Type": media_type})
        assert (reply.refusal == "UNSUPPORTED_MEDIA_TYPE") == (media_type not in content), media_type


@rule("GRAPHQL-INTROSPECTION")
async def test_the_schema_of_graphql_is_there_to_download(app: App) -> None:
    address = "/api/client/graphql/schema.graphql"
    check_refusal(await app.get(address), 401, "UNAUTHENTICATED")
    reply = await app.get(address, token=(await app.sign_in("viewer@acme.example")).data["token"])
    assert (reply.status, reply.media_type) == (200, "text/plain")
    assert "type Query {" in reply.text
    assert reply.headers["cache-control"] == "no-store"
