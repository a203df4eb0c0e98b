"""GraphQL with a missing or invalid credential returns an error body, and cookie and cross-site rules apply."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.application import App, Reply, running
from tests.support.matrix import matrix
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

QUERY = {"query": "{ me { id } }"}
PATH = "/api/client/graphql"


def refused(reply: Reply, status: int, code: str) -> None:
    """Check a GraphQL error body without ``data``, with the code and the request ID of the header."""
    assert reply.status == status, reply.text
    [error] = reply.json["errors"]
    assert set(reply.json) == {"errors"}
    assert error["message"]
    assert error["extensions"]["code"] == code
    assert error["extensions"]["requestId"] == reply.headers["x-request-id"]
    assert reply.headers["cache-control"] == "no-store"


async def test_no_credential_is_unauthenticated(app: App) -> None:
    reply = await app.post(PATH, QUERY)
    refused(reply, 401, "UNAUTHENTICATED")
    assert reply.headers["www-authenticate"] == "Bearer"


@matrix("token", ["x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "." * 40, "x" * 9000])
async def test_a_bad_token_is_invalid(app: App, token: str) -> None:
    reply = await app.post(PATH, QUERY, token=token)
    refused(reply, 401, "INVALID_TOKEN")
    assert reply.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@rule("BEARER-ALONE")
async def test_a_bad_token_is_rejected_whatever_the_document_and_the_cookie(app: App) -> None:
    cookie = (await app.sign_in()).cookie("session")
    for body in (QUERY, {"query": "{ nonsense"}, [1], {}):
        refused(await app.post(PATH, body, token="x.y.z", cookie=cookie), 401, "INVALID_TOKEN")
    refused(await app.post(PATH, content=b"not json"), 401, "UNAUTHENTICATED")


@matrix("accept", ["application/json", "application/graphql-response+json"])
async def test_an_expired_token_is_401_for_both_media_types(app: App, accept: str) -> None:
    token = (await app.sign_in()).data["token"]
    app.clock.advance(24 * 3600 + 120)
    reply = await app.post(PATH, QUERY, token=token, headers={"Accept": accept})
    refused(reply, 401, "TOKEN_EXPIRED")
    assert reply.headers["content-type"].startswith(accept)
    assert reply.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_a_signed_out_token_is_invalid(app: App) -> None:
    token = (await app.sign_in()).data["token"]
    assert (await app.post(PATH, QUERY, token=token)).json["data"]
    await app.post("/api/client/auth/sign-out", token=token)
    refused(await app.post(PATH, QUERY, token=token), 401, "INVALID_TOKEN")


async def test_an_admins_token_opens_nothing(app: App) -> None:
    refused(await app.post(PATH, QUERY, token=await app.admin_token()), 401, "INVALID_TOKEN")


@rule("CLIENT-HEADER-NARROWS")
async def test_a_client_id_that_disagrees_is_forbidden(app: App) -> None:
    token = (await app.sign_in(client="acme")).data["token"]
    refused(await app.post(PATH, QUERY, token=token, headers={"X-Client-ID": "globex"}), 403, "FORBIDDEN")
    refused(await app.post(PATH, QUERY, token=token, headers={"X-Client-ID": ""}), 403, "FORBIDDEN")
    other = str(app.ids["globex"])
    refused(await app.post(PATH, QUERY, token=token, headers={"X-Client-ID": other}), 403, "FORBIDDEN")
    for agreed in ("acme", str(app.ids["acme"])):
        assert (await app.post(PATH, QUERY, token=token, headers={"X-Client-ID": agreed})).json["data"]
    twice = [("X-Client-ID", "acme"), ("X-Client-ID", "acme")]
    refused(await app.post(PATH, QUERY, token=token, headers=twice), 400, "BAD_USER_INPUT")


async def test_the_cookie_works_but_not_across_sites(app: App) -> None:
    cookie = (await app.sign_in()).cookie("session")
    own = app.public_url
    for headers in ({}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": own, "Sec-Fetch-Site": "same-origin"}):
        assert (await app.post(PATH, QUERY, cookie=cookie, headers=headers)).json["data"], headers
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        refused(await app.post(PATH, QUERY, cookie=cookie, headers=headers), 403, "FORBIDDEN")


async def test_a_bearer_needs_no_same_site(app: App) -> None:
    token = (await app.sign_in()).data["token"]
    reply = await app.post(PATH, QUERY, token=token, headers={"Origin": "https://elsewhere.example"})
    assert reply.json["data"]


@rule("GRAPHQL-INTROSPECTION")
async def test_introspection_is_never_for_anonymous_callers(app: App) -> None:
    refused(await app.post(PATH, {"query": "{ __schema { queryType { name } } }"}), 401, "UNAUTHENTICATED")


@rule("GRAPHQL-INTROSPECTION")
@matrix(
    ("settings", "on"),
    [
        ({}, True),
        ({"MANIFEST_INTROSPECTION": "off"}, False),
        ({"MANIFEST_PUBLIC_URL": "https://auth.example.com"}, False),
        ({"MANIFEST_PUBLIC_URL": "https://auth.example.com", "MANIFEST_INTROSPECTION": "on"}, True),
    ],
)
async def test_introspection_and_suggestions_follow_one_switch(
    tmp_path: Any, settings: dict[str, str], on: bool
) -> None:
    async with running(f"sqlite:///{tmp_path / 'one.db'}", **settings) as app:
        token = (await app.sign_in(client="acme")).data["token"]
        for query in ("{ __schema { queryType { name } } }", '{ __type(name: "User") { name } }'):
            reply = await app.graphql(query, token)
            assert ("data" in reply.json) is on, reply.text
        assert (await app.graphql("{ __typename }", token)).json["data"] == {"__typename": "Query"}
        typo = (await app.graphql("{ usres { id } }", token)).json["errors"][0]["message"]
        assert ("users" in typo) is on
        wrong = (await app.graphql("{ users(frist: 1) { id } }", token)).json["errors"][0]["message"]
        assert ("first" in wrong) is on
