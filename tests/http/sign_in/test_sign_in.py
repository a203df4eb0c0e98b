"""Password sign-in: the response to success, and a single response to every failure."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests.support.accounts import act_on, hashes_counted, new_client, new_user, settle, trail
from tests.support.application import PASSWORD, App, Reply
from tests.support.matrix import matrix
from tests.support.rules import rule

WRONG = "not-the-kestrel-harbor-9"
FAILURES = (
    "wrong", "unknown", "no-password", "other-client", "deactivated-wrong", "suspended-wrong", "missing-client",
    "sso-only", "sso-only-unnamed", "sso-only-wrong",
)  # fmt: skip
DISABLED = ("deactivated", "suspended")
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


class Attempt(NamedTuple):
    email: str
    password: str
    client: str | None


Attempts = dict[str, Attempt]


@pytest.fixture(scope="module")
async def attempts(app: App) -> Attempts:
    """One attempt of each kind."""
    _, bare = await new_user(app)
    gone_id, gone = await new_user(app, password=PASSWORD)
    await act_on(app, f"acme/users/{gone_id}/deactivate")
    paused = await new_client(app)
    _, waiting = await new_user(app, paused, password=PASSWORD)
    await act_on(app, f"{paused}/suspend")
    elsewhere = await new_client(app)
    _, single = await new_user(app, elsewhere, password=PASSWORD)
    assert (await app.sign_in(single, client=elsewhere)).status == 200
    await settle(app, elsewhere, passwordSignIn=False)
    return {
        "right": Attempt("viewer@acme.example", PASSWORD, "acme"),
        "right-unnamed": Attempt("viewer@acme.example", PASSWORD, None),
        "wrong": Attempt("viewer@acme.example", WRONG, "acme"),
        "unknown": Attempt("nobody@acme.example", WRONG, "acme"),
        "no-password": Attempt(bare, WRONG, "acme"),
        "other-client": Attempt("viewer@globex.example", PASSWORD, "acme"),
        "missing-client": Attempt("viewer@acme.example", PASSWORD, "no-such-client"),
        "deactivated": Attempt(gone, PASSWORD, "acme"),
        "deactivated-wrong": Attempt(gone, WRONG, "acme"),
        "suspended": Attempt(waiting, PASSWORD, paused),
        "suspended-wrong": Attempt(waiting, WRONG, paused),
        "sso-only": Attempt(single, PASSWORD, elsewhere),
        "sso-only-unnamed": Attempt(single, PASSWORD, None),
        "sso-only-wrong": Attempt(single, WRONG, elsewhere),
    }


async def make(app: App, attempt: Attempt) -> Reply:
    return await app.sign_in(attempt.email, attempt.password, attempt.client)


def seen(reply: Reply) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Everything that distinguishes two responses for a caller, except the request ID."""
    body = {**reply.json, "error": {k: v for k, v in reply.json["error"].items() if k != "requestId"}}
    return reply.status, body, {k: v for k, v in reply.headers.items() if k != "x-request-id"}


async def test_sign_in_answers_as_the_example_page_shows(app: App) -> None:
    reply = await app.sign_in("author@acme.example")
    assert reply.status == 200
    assert set(reply.json) == {"success", "data"}
    assert set(reply.data) == {"token", "refreshToken", "expiresIn", "user"}
    assert reply.data["user"] == {
        "id": app.ids["author@acme.example"],
        "email": "author@acme.example",
        "firstName": "Author",
        "lastName": "Tester",
        "roles": ["Author"],
        "clientId": "acme",
    }
    assert type(reply.data["user"]["id"]) is int
    assert reply.data["expiresIn"] == 86_400
    assert reply.headers["cache-control"] == "no-store"


async def test_members_that_no_one_knows_are_ignored(app: App) -> None:
    body = {"email": "author@acme.example", "password": PASSWORD, "rememberMe": True, "clientId": "globex"}
    reply = await app.post("/api/client/auth/sign-in", body)
    assert reply.data["user"]["clientId"] == "acme"


@rule("EMAIL-FORM")
async def test_the_address_is_compared_case_folded_and_answered_as_stored(app: App) -> None:
    assert (await app.sign_in("AUTHOR@Acme.EXAMPLE")).data["user"]["email"] == "author@acme.example"
    strasse = "Straße@acme.example"
    await new_user(app, email=strasse, password=PASSWORD)
    assert (await app.sign_in("STRAßE@acme.example")).data["user"]["email"] == strasse


@rule("EMAIL-FORM")
@matrix("email", ["author@acme.example ", " author@acme.example", "\uff41uthor@acme.example"])
async def test_the_address_is_neither_trimmed_nor_normalised(app: App, email: str) -> None:
    assert (await app.sign_in(email, client="acme")).code == "INVALID_CREDENTIALS"


@rule("PASSWORD-AS-RECEIVED")
@matrix("password", [PASSWORD + " ", " " + PASSWORD, PASSWORD.upper(), PASSWORD[:-1], PASSWORD + "\t"])
async def test_a_password_that_is_nearly_right_is_wrong(app: App, password: str) -> None:
    assert (await app.sign_in(password=password)).code == "INVALID_CREDENTIALS"


@rule("DEVIATION-ONE-FACTOR", "UNKNOWN-ACCOUNT", "DISABLED-ACCOUNT")
@matrix("kind", FAILURES)
async def test_every_failure_is_answered_alike(app: App, attempts: Attempts, kind: str) -> None:
    usual = await make(app, attempts["wrong"])
    assert (usual.status, usual.code) == (401, "INVALID_CREDENTIALS")
    assert usual.json["error"]["message"] == "Invalid email or password"
    assert seen(await make(app, attempts[kind])) == seen(usual)
    assert "set-cookie" not in usual.headers


@rule("DISABLED-ACCOUNT")
@matrix("kind", DISABLED)
async def test_account_disabled_is_said_only_after_the_right_password(app: App, attempts: Attempts, kind: str) -> None:
    assert (await make(app, attempts[f"{kind}-wrong"])).code == "INVALID_CREDENTIALS"
    refused = await make(app, attempts[kind])
    assert (refused.status, refused.code) == (403, "ACCOUNT_DISABLED")
    assert "set-cookie" not in refused.headers


@rule("UNKNOWN-ACCOUNT")
@matrix("kind", ["right", "right-unnamed", *FAILURES, *DISABLED])
async def test_exactly_one_hash_of_todays_cost_is_computed_whatever_is_found(
    app: App, attempts: Attempts, kind: str
) -> None:
    today = {"memory": 64, "passes": 1, "lanes": 1, "length": 32}
    with hashes_counted() as hashes:
        await make(app, attempts[kind])
    assert hashes == [today]


@rule("AUDIT-TRAIL")
async def test_sign_ins_and_failures_are_in_the_audit_trail_without_the_password(app: App) -> None:
    before = len(await trail(app, "acme"))
    await app.sign_in("viewer@acme.example", WRONG, "acme")
    await app.sign_in("viewer@acme.example", client="acme")
    events = (await trail(app, "acme"))[before:]
    user = f"user:{app.ids['viewer@acme.example']}"
    assert [(e.event, e.subject) for e in events] == [("sign_in_failed", user), ("signed_in", user)]
    assert all(e.address == "192.0.2.1" for e in events)
    assert not any(secret in repr(events) for secret in (WRONG, PASSWORD))


async def test_a_failed_sign_in_leaves_the_session_that_was_shown_alive(app: App) -> None:
    cookie = (await app.sign_in("viewer@acme.example")).cookie("session")
    assert (await app.sign_in("viewer@acme.example", WRONG, cookie=cookie)).status == 401
    assert (await app.me(cookie=cookie)).status == 200


async def test_each_sign_in_has_keys_of_its_own(app: App) -> None:
    replies = [await app.sign_in() for _ in range(3)]
    values = [(r.data["token"], r.data["refreshToken"], r.cookie("session")) for r in replies]
    assert len({value for triple in values for value in triple}) == 9


@matrix(
    "body",
    [
        {"email": "author@acme.example"},
        {"password": PASSWORD},
        {"email": "author@acme.example", "password": ""},
        {"email": "author@acme.example", "password": None},
        {"email": "author@acme.example", "password": 7},
        {"email": ["author@acme.example"], "password": PASSWORD},
        {"email": "author@acme.example", "password": "p" * 257},
        {"email": "a" * 255, "password": PASSWORD},
        {"email": "author@acme.example", "password": PASSWORD + "\0"},
        {"email": "author\0@acme.example", "password": PASSWORD},
        {"email": "author@acme.example", "password": "\ud800" * 20},
    ],
)
async def test_a_sign_in_that_is_no_sign_in_is_rejected_before_any_hash(app: App, body: dict[str, Any]) -> None:
    with hashes_counted() as hashes:
        reply = await app.post("/api/client/auth/sign-in", body)
    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    assert hashes == []
