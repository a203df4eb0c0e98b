"""A service account's token as a request's credential: the access it gives, and when it becomes invalid."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial

import pytest

from tests.support.accounts import hashes_counted, keys_of, trail
from tests.support.application import App, running
from tests.support.background_jobs import nothing_by_itself, soon
from tests.support.client_assertions import b64
from tests.support.forged_tokens import minted
from tests.support.matrix import matrix
from tests.support.oauth_callers import GRANT, TOKEN, Machine, form, header_and_claims, machine, signed_by_us
from tests.support.routes import ROUTES, filled
from tests.support.rules import rule
from tests.support.statements import beats_are_in_time, counted_statements

pytestmark = [pytest.mark.one_store, pytest.mark.still]

CACHES = ("access_tokens", "principals")
JOBS, TEMPLATES, USERS = "{ jobs { id } }", "{ templates { id } }", "{ users { id } }"


async def opens(app: App, query: str, token: str) -> str:
    """``ok``, or the error code."""
    reply = await app.graphql(query, token)
    errors = reply.json.get("errors")
    return str(errors[0]["extensions"]["code"]) if errors else "ok"


@pytest.fixture(scope="module")
async def other_node(app: App, database_url: str) -> AsyncIterator[App]:
    with nothing_by_itself():
        async with running(database_url) as node:
            node.goes_by_the_clock_of(app)
            yield node


async def test_it_opens_what_its_scope_and_the_account_allow(app: App, client: str) -> None:
    author = await machine(app, client, roles=("Author",))
    token, narrow = await author.token(), await author.token(scope="jobs:read")
    assert [await opens(app, query, token) for query in (JOBS, TEMPLATES, USERS)] == ["ok", "ok", "ok"]
    assert [await opens(app, query, narrow) for query in (JOBS, TEMPLATES, USERS)] == ["ok", "FORBIDDEN", "FORBIDDEN"]


@rule("SERVICE-TOKEN-SCOPE")
async def test_what_the_account_can_do_counts_at_the_moment_of_use(app: App, ours: Machine) -> None:
    token = await ours.token()
    assert await opens(app, TEMPLATES, token) == "ok"
    await ours.send("PATCH", "", {"scopes": ["jobs:read"]})
    assert [await opens(app, query, token) for query in (JOBS, TEMPLATES)] == ["ok", "FORBIDDEN"]


@rule("SERVICE-TOKEN-SCOPE")
async def test_another_scope_never_gives_more_than_the_account_has(app: App, client: str) -> None:
    narrow = await machine(app, client, scopes=("jobs:read",))
    token = await narrow.token(scope="jobs:read")
    await narrow.send("PATCH", "", {"scopes": ["templates:read"]})
    assert [await opens(app, query, token) for query in (JOBS, TEMPLATES)] == ["FORBIDDEN", "FORBIDDEN"]


async def test_the_trail_has_its_first_use_in_an_hour(app: App, ours: Machine) -> None:
    token = await ours.token()
    for _ in range(3):
        assert await opens(app, JOBS, token) == "ok"
    [event] = [event for event in await trail(app, ours.client) if event.event == "service_signed_in"]
    assert (event.actor, event.members) == (f"service:{ours.id}", {"by": "service-token"})


async def test_it_ends(app: App, ours: Machine) -> None:
    token = await ours.token()
    app.clock.advance(899)
    assert await opens(app, JOBS, token) == "ok"
    app.clock.advance(1)
    assert await opens(app, JOBS, token) == "TOKEN_EXPIRED"


@rule("SERVICE-TOKEN-SCOPE")
@matrix("what", [("POST", "/disable"), ("DELETE", "")])
async def test_a_disabled_account_is_rejected_on_every_node(
    app: App, other_node: App, ours: Machine, what: tuple[str, str]
) -> None:
    token = await ours.token()
    for node in (app, other_node):
        assert await opens(node, JOBS, token) == "ok"
    await ours.send(*what)
    for node in (app, other_node):
        await soon(partial(opens, node, JOBS, token), "INVALID_TOKEN")
        refused = await form(node, TOKEN, GRANT, ours.basic)
        assert (refused.status, refused.json["error"]) == (401, "invalid_client")
        refused = await form(node, TOKEN, {**GRANT, **ours.signed(jti=node.client.headers["user-agent"])})
        assert (refused.status, refused.json["error"]) == (401, "invalid_client")


async def test_a_suspended_client_is_rejected(app: App, ours: Machine) -> None:
    token, admin = await ours.token(), await app.admin_token()
    assert (await app.post(f"/api/admin/clients/{ours.client}/suspend", token=admin)).status == 200
    assert await opens(app, JOBS, token) == "INVALID_TOKEN"
    for shown, headers in ((ours.signed(), None), ({}, ours.basic)):
        assert (await form(app, TOKEN, {**GRANT, **shown}, headers)).status == 401
    assert (await app.post(f"/api/admin/clients/{ours.client}/restore", token=admin)).status == 200
    assert await opens(app, JOBS, token) == "ok"


async def test_x_client_id_must_agree(app: App, ours: Machine, theirs: Machine) -> None:
    token = await ours.token()
    for client, expected in ((ours.client, "ok"), (theirs.client, "FORBIDDEN")):
        reply = await app.graphql(JOBS, token, headers={"X-Client-ID": client})
        errors = reply.json.get("errors")
        assert (errors[0]["extensions"]["code"] if errors else "ok") == expected


async def test_a_network_that_does_not_fit_is_rejected(app: App, client: str) -> None:
    moved = await machine(app, client, "moved", addresses=("192.0.2.0/24",))
    token = await moved.token()
    assert await opens(app, JOBS, token) == "ok"
    await moved.send("PATCH", "", {"addresses": ["198.51.100.0/24"]})
    assert await opens(app, JOBS, token) == "FORBIDDEN"
    for shown, headers in ((moved.signed(), None), ({}, moved.basic)):
        reply = await form(app, TOKEN, {**GRANT, **shown}, headers)
        assert (reply.status, reply.json["error"]) == (401, "invalid_client")


@rule("SERVICE-TOKEN-PURPOSE")
@matrix("route", [route for route in ROUTES if route.who == "admin"], ids=lambda r: f"{r.method} {r.path}")
async def test_it_opens_no_route_of_system_admins(app: App, ours: Machine, route: object) -> None:
    path = filled(route.path, client=ours.client, user=1)  # type: ignore[attr-defined]
    reply = await app.send(route.method, path, {}, token=await ours.token())  # type: ignore[attr-defined]
    assert (reply.status, reply.code) == (401, "INVALID_TOKEN")


@rule("SERVICE-TOKEN-PURPOSE")
async def test_neither_verifier_takes_the_others_token(app: App, ours: Machine) -> None:
    """The right keys sign a user's claims in a service account's token, and the reverse."""
    user, service = (await keys_of(app)).token, await ours.token()
    for header in (None, '{"typ":"at+jwt","alg":"ES256"}'):
        assert await opens(app, JOBS, minted(app, header_and_claims(service)[1], header=header)) == "INVALID_TOKEN"
    head, _, _ = service.split(".")
    claims = b64(json.dumps(header_and_claims(user)[1]).encode())
    assert await opens(app, JOBS, signed_by_us(app, head, claims)) == "INVALID_TOKEN"


@rule("SERVICE-TOKEN-PURPOSE")
@matrix(
    "changes",
    [
        {"aud": "manifest-api"}, {"iss": "https://other.example"}, {"sub": "svc_1"}, {"client_id": "svc_1"},
        {"client": "globex"}, {"exp": "soon"}, {"iat": 2_000_000_000, "exp": 2_000_000_900},
        {"scope": None}, {"jti": 1},
    ],
)  # fmt: skip
async def test_wrong_claims_under_the_right_key_are_rejected(
    app: App, ours: Machine, changes: dict[str, object]
) -> None:
    head, claims, _ = (await ours.token()).split(".")
    wrong = {**header_and_claims(f"{head}.{claims}.")[1], **changes}
    token = signed_by_us(app, head, b64(json.dumps(wrong).encode()))
    assert await opens(app, JOBS, token) == "INVALID_TOKEN"


async def test_a_second_read_asks_the_store_for_nothing_of_its_caller(
    app: App, ours: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats_are_in_time(monkeypatch)
    token, user = await ours.token(), (await keys_of(app)).token
    for bearer in (token, user):
        for _ in range(2):  # the account's first use is recorded
            await app.graphql("{ roles { name } }", bearer)
        before = [app.sample("manifest_cache_total", cache=name, result="miss") for name in CACHES]
        with counted_statements() as seen, hashes_counted() as hashed:
            await app.graphql("{ roles { name } }", bearer)
        assert (seen, hashed) == ([], [])
        assert [app.sample("manifest_cache_total", cache=name, result="miss") for name in CACHES] == before


@rule("SERVICE-TOKEN-SCOPE")
async def test_after_a_rotation_it_is_good_and_a_retired_key_ends_it(app: App, other_node: App, ours: Machine) -> None:
    admin, token = await app.admin_token(), await ours.token()
    kid = header_and_claims(token)[0]["kid"]
    assert await opens(other_node, JOBS, token) == "ok"
    assert (await app.post("/api/admin/keys/rotate", {"purpose": "service"}, token=admin)).status == 200
    assert header_and_claims(await ours.token())[0]["kid"] != kid
    for node in (app, other_node):
        assert await opens(node, JOBS, token) == "ok"
    assert (await app.post(f"/api/admin/keys/{kid}/retire", {"atOnce": True}, token=admin)).status == 200
    for node in (app, other_node):
        await soon(partial(opens, node, JOBS, token), "INVALID_TOKEN")
