"""The credential determines the tenant, X-Client-ID can only match it, and a suspended client is rejected."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.application import App, Reply
from tests.support.envelope import check_refusal, check_success, same_but_request_id
from tests.support.matrix import matrix
from tests.support.rules import rule

ME = "/api/client/auth/me"
ODD = [
    "", "ACME", "Acme", "acme,acme", "acme, acme", "acme,globex", "acme;globex", "acme\tglobex", "acme.", "acme/", "0",
    "-1", "acme%00", "%61cme", "*", "null", "acme globex", "acm", "acme2", "{acme}", '"acme"', "a" * 3000,
]  # fmt: skip
pytestmark = pytest.mark.settings(MANIFEST_RATE_LIMITS="off")


async def test_a_client_id_that_agrees_passes_by_identifier_or_number(app: App) -> None:
    signed_in = await app.sign_in()
    for named in ("acme", str(app.ids["acme"])):
        headers = {"X-Client-ID": named}
        check_success(await app.me(signed_in.data["token"], headers=headers))
        check_success(await app.me(cookie=signed_in.cookie("session"), headers=headers))
        check_success(await app.refresh(signed_in.data["refreshToken"], headers=headers))
        reply = await app.graphql("{ me { email } }", signed_in.data["token"], headers=headers)
        assert reply.json["data"]["me"]["email"] == "author@acme.example"


@rule("CLIENT-HEADER-NARROWS")
async def test_a_client_id_that_disagrees_is_forbidden(app: App) -> None:
    signed_in = await app.sign_in()
    token, cookie = signed_in.data["token"], signed_in.cookie("session")
    for named in ("globex", str(app.ids["globex"]), "no-such-client", "999999"):
        headers = {"X-Client-ID": named}
        replies = [
            await app.me(token, headers=headers),
            await app.me(cookie=cookie, headers=headers),
            await app.refresh(signed_in.data["refreshToken"], headers=headers),
            await app.get("/api/client/auth/sessions", token=token, headers=headers),
            await app.post("/api/client/auth/sign-out", token=token, headers=headers),
        ]
        for reply in replies:
            check_refusal(reply, 403, "FORBIDDEN", message="Insufficient permissions")
        reply = await app.graphql("{ users { id } }", token, headers=headers)
        assert (reply.status, reply.json["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN")
        assert "data" not in reply.json
    check_success(await app.me(token))  # nothing ended the session


@rule("CLIENT-HEADER-NARROWS")
@matrix("named", ODD)
async def test_odd_spellings_and_lists_are_rejected(app: App, named: str) -> None:
    signed_in = await app.sign_in()
    headers = {"X-Client-ID": named}
    for reply in (
        await app.me(signed_in.data["token"], headers=headers),
        await app.refresh(signed_in.data["refreshToken"], headers=headers),
    ):
        check_refusal(reply, 403, "FORBIDDEN")
    check_refusal(await app.sign_in(headers=headers), 401, "INVALID_CREDENTIALS")


async def test_a_number_has_one_spelling(app: App) -> None:
    token, number = (await app.sign_in()).data["token"], app.ids["acme"]
    for named in (f"0{number}", f"+{number}", f"{number}.0", f"{number},{number}"):
        check_refusal(await app.me(token, headers={"X-Client-ID": named}), 403, "FORBIDDEN")
        check_refusal(await app.sign_in(headers={"X-Client-ID": named}), 401, "INVALID_CREDENTIALS")


@rule("CLIENT-HEADER-NARROWS")
async def test_nothing_else_selects_a_tenant(app: App) -> None:
    token = (await app.sign_in()).data["token"]
    query = "?client=globex&clientId=globex&tenant=2"
    names = ("X-Tenant-ID", "X-Tenant", "Client-ID", "X-Client", "X-Forwarded-Host", "X-Original-URL", "X-Rewrite-URL")
    headers = dict.fromkeys(names, "globex") | {"Host": "globex.127.0.0.1:8080"}
    data = check_success(await app.get(ME + query, token=token, headers=headers))
    assert data["client"]["identifier"] == "acme"
    reply = await app.graphql("{ users { email } }", token, headers=headers)
    assert {user["email"].rpartition("@")[2] for user in reply.json["data"]["users"]} == {"acme.example"}
    body = {"query": "{ users { email } }", "clientId": "globex", "variables": {"clientId": "globex"}}
    reply = await app.post("/api/client/graphql" + query, body, token=token)
    assert {user["email"].rpartition("@")[2] for user in reply.json["data"]["users"]} == {"acme.example"}


@rule("FOREIGN-IS-MISSING")
async def test_another_users_session_looks_nonexistent(app: App) -> None:
    token = (await app.sign_in()).data["token"]
    missing = await app.send("DELETE", "/api/client/auth/sessions/AAAAAAAAAAAAAAAAAAAAAA", token=token)
    check_refusal(missing, 404, "NOT_FOUND")
    for email, client in (("author@globex.example", "globex"), ("viewer@acme.example", "acme")):
        other = (await app.sign_in(email, client=client)).data["token"]
        session = (await app.me(other)).data["session"]["id"]
        foreign = await app.send("DELETE", f"/api/client/auth/sessions/{session}", token=token)
        same_but_request_id(foreign, missing)
        check_success(await app.me(other))


@pytest.fixture
async def doomed(app: App) -> AsyncIterator[str]:
    """A client that the test suspends, and that is restored afterward."""
    yield "/api/admin/clients/globex"
    await app.post("/api/admin/clients/globex/restore", token=await app.admin_token())


async def test_a_suspended_clients_users_are_rejected_immediately_by_every_key(app: App, doomed: str) -> None:
    signed_in = await app.sign_in("author@globex.example")
    token, cookie, refresh_token = signed_in.data["token"], signed_in.cookie("session"), signed_in.data["refreshToken"]
    other = (await app.sign_in()).data["token"]
    for reply in (await app.me(token), await app.me(cookie=cookie), await app.refresh(refresh_token)):
        check_success(reply)
    check_success(await app.post(f"{doomed}/suspend", token=await app.admin_token()))

    for reply in (await app.me(token), await app.me(cookie=cookie), await app.refresh(refresh_token)):
        check_refusal(reply, 401, "INVALID_TOKEN")
    reply = await app.graphql("{ users { id } }", token)
    assert (reply.status, reply.json["errors"][0]["extensions"]["code"]) == (401, "INVALID_TOKEN")
    for client in (None, "globex", str(app.ids["globex"])):
        check_refusal(await app.sign_in("author@globex.example", client=client), 403, "ACCOUNT_DISABLED")
        check_refusal(await app.sign_in("author@globex.example", "wrong", client=client), 401, "INVALID_CREDENTIALS")
        check_refusal(await app.sign_in("nobody@globex.example", client=client), 401, "INVALID_CREDENTIALS")
    check_success(await app.me(other))  # nobody else is affected


async def test_a_rejected_sign_in_sets_no_cookie_and_opens_nothing(app: App, doomed: str) -> None:
    admin = await app.admin_token()
    check_success(await app.post(f"{doomed}/suspend", token=admin))
    refused: Reply = await app.sign_in("viewer@globex.example")
    assert "set-cookie" not in refused.headers
    check_success(await app.post(f"{doomed}/restore", token=admin))
    token = (await app.sign_in("viewer@globex.example")).data["token"]
    assert len((await app.get("/api/client/auth/sessions", token=token)).data["items"]) == 1


async def test_what_was_ended_by_a_suspension_stays_ended(app: App, doomed: str) -> None:
    admin = await app.admin_token()
    signed_in = await app.sign_in("operator@globex.example")
    check_success(await app.post(f"{doomed}/suspend", token=admin))
    check_success(await app.post(f"{doomed}/restore", token=admin))
    check_refusal(await app.me(signed_in.data["token"]), 401, "INVALID_TOKEN")
    check_refusal(await app.refresh(signed_in.data["refreshToken"]), 401, "INVALID_TOKEN")
    check_success(await app.sign_in("operator@globex.example"))
