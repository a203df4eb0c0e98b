"""Preflights succeed only for listed origins, and only on the routes of users."""

from __future__ import annotations

import asyncio

import pytest

from tests.http.cors.pages import FOREIGN, GRAPHQL, LISTED, ME, SIGN_IN, THEIRS, asked, cors_headers, page
from tests.support.accounts import act_on, new_client, settle
from tests.support.application import App, running
from tests.support.envelope import check_refusal
from tests.support.licences import on_premise
from tests.support.matrix import matrix
from tests.support.routes import PAGES, ROUTES, Route, filled
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


def is_shared(path: str) -> bool:
    """Whether a client's own list applies there; at the issuers, its apps' lists apply."""
    return (path.startswith(("/api/client/", "/.well-known/")) and "/o/" not in path) or path == "/openapi.json"


async def test_a_listed_origin_gets_the_routes_methods(app: App) -> None:
    reply = await asked(app, ME, "PATCH", LISTED)
    assert (reply.status, reply.text) == (204, "")
    assert cors_headers(reply) == {
        "access-control-allow-origin": LISTED,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET, HEAD, PATCH",
        "access-control-allow-headers": "authorization, content-type, x-client-id, x-request-id, "
        "traceparent, tracestate, baggage, sentry-trace",
        "access-control-max-age": "600",
    }
    assert reply.headers["vary"] == VARY
    assert "content-length" not in reply.headers


@rule("CORS-ROUTES")
@matrix("route", [*ROUTES, *PAGES])
async def test_every_route_of_users_and_no_other(app: App, route: Route) -> None:
    method, path = route.method, filled(route.path, client="acme")
    reply = await asked(app, path, method, LISTED)
    if is_shared(path):
        assert reply.status == 204
        assert method in cors_headers(reply)["access-control-allow-methods"].split(", ")
    else:
        assert reply.status in (404, 405)
        assert not cors_headers(reply)


@rule("CORS-LISTED")
@matrix(
    "origin", [FOREIGN, "null", "*", "", f"{LISTED}/", f"{LISTED}:443", LISTED.upper(), f"{LISTED}.evil.example",
               "http://app.acme.example", "https://x.app.acme.example", f"{LISTED}, {FOREIGN}"],
)  # fmt: skip
async def test_any_other_origin_gets_405(app: App, origin: str) -> None:
    reply = await asked(app, SIGN_IN, "POST", origin)
    check_refusal(reply, 405, "METHOD_NOT_ALLOWED")
    assert reply.headers["allow"] == "POST"
    assert not cors_headers(reply)
    assert reply.headers["vary"] == VARY


async def test_a_method_that_the_route_lacks_is_rejected(app: App) -> None:
    for method in ("GET", "DELETE", "post", "", "*", "POST, GET"):
        reply = await asked(app, SIGN_IN, method, LISTED)
        assert (reply.status, cors_headers(reply)) == (405, {})


async def test_an_options_request_that_is_no_preflight_is_rejected(app: App) -> None:
    for headers in ({"Origin": LISTED}, {"Access-Control-Request-Method": "POST"}, {}):
        reply = await app.send("OPTIONS", SIGN_IN, headers=headers)
        assert (reply.status, cors_headers(reply)) == (405, {})


@rule("CORS-LISTED")
async def test_two_origins_are_rejected(app: App) -> None:
    headers = [("Origin", LISTED), ("Origin", FOREIGN), ("Access-Control-Request-Method", "POST")]
    for method in ("OPTIONS", "POST"):
        reply = await app.send(method, SIGN_IN, headers=headers)
        check_refusal(reply, 400, "VALIDATION_ERROR")
        assert not cors_headers(reply)


async def test_the_hosts_client_alone_counts_where_there_is_one(app: App) -> None:
    for host, origin, status in (
        ("acme.auth.example.com", LISTED, 204),
        ("acme.auth.example.com", THEIRS, 405),
        ("globex.auth.example.com", LISTED, 405),
        ("globex.auth.example.com", THEIRS, 204),
        ("nowhere.auth.example.com", LISTED, 405),
        ("auth.example.com", LISTED, 204),
        ("auth.example.com", THEIRS, 204),
    ):
        assert (await asked(app, SIGN_IN, "POST", origin, Host=host)).status == status, (host, origin)


@rule("CORS-LISTED")
async def test_a_changed_list_takes_effect_immediately(app: App) -> None:
    origin = "https://changes.example"
    client = await new_client(app)
    assert (await asked(app, ME, "GET", origin)).status == 405
    await settle(app, client, allowedOrigins=[origin])
    assert (await asked(app, ME, "GET", origin)).status == 204
    for act, status in (("suspend", 405), ("restore", 204)):
        await act_on(app, f"{client}/{act}")
        assert (await asked(app, ME, "GET", origin)).status == status, act
    path = f"/api/admin/clients/{client}"
    assert (await app.send("DELETE", path, {"confirm": client}, token=await app.admin_token())).status == 200
    assert (await asked(app, ME, "GET", origin)).status == 405
    await act_on(app, f"{client}/restore")
    assert (await asked(app, ME, "GET", origin)).status == 204
    await settle(app, client, allowedOrigins=[])
    assert (await asked(app, ME, "GET", origin)).status == 405


async def test_a_client_can_list_origins_from_its_first_moment(app: App) -> None:
    await new_client(app, allowedOrigins=["https://first.example"])
    assert (await asked(app, ME, "GET", "https://first.example")).status == 204


@rule("CORS-LISTED")
async def test_another_process_follows(app: App) -> None:
    """On SQLite, the change isn't announced to this process, and on PostgreSQL, an announcement takes time."""
    origin = "https://elsewhere.example"
    client = await new_client(app)
    async with running(app.database, MANIFEST_PUBLIC_URL=app.public_url) as other:
        other.goes_by_the_clock_of(app)
        assert (await asked(other, ME, "GET", origin)).status == 405
        for origins, status in (([origin], 204), ([], 405)):
            await settle(app, client, allowedOrigins=origins)
            for _ in range(400):
                if (await asked(other, ME, "GET", origin)).status == status:
                    break
                await asyncio.sleep(0.01)
            assert (await asked(other, ME, "GET", origin)).status == status


async def test_it_needs_no_license_and_reads_no_credential(app: App) -> None:
    async with on_premise(app.database) as node:
        nothing: dict[str, str] = {}
        for headers in (nothing, {"Authorization": "Bearer nonsense"}, {"Cookie": "session=nonsense"}):
            assert (await asked(node, GRAPHQL, "POST", LISTED, **headers)).status == 204
        reply = await node.me("nonsense", headers=page(LISTED))
        assert (reply.code, cors_headers(reply)["access-control-allow-origin"]) == ("LICENSE_REQUIRED", LISTED)
