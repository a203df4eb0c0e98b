"""`PATCH /api/client/auth/me`: one's own names, title and language."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.accounts import new_client, trail
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.people import Member, member

PATH = "/api/client/auth/me"


@pytest.fixture
async def client(app: App) -> str:
    return await new_client(app)


@pytest.fixture
async def ada(app: App, client: str) -> Member:
    return await member(app, client)


async def change(app: App, ada: Member, body: Any) -> Any:
    return await app.send("PATCH", PATH, body, token=ada.token)


async def test_what_is_given_changes_and_the_rest_stays(app: App, client: str, ada: Member) -> None:
    data = check_success(await change(app, ada, {"firstName": "Ada", "lastName": "Byron", "title": "Countess"}))
    assert data == {"firstName": "Ada", "lastName": "Byron", "title": "Countess", "language": None}
    assert check_success(await change(app, ada, {"title": "", "language": "de"})) == {
        "firstName": "Ada", "lastName": "Byron", "title": "", "language": "de",
    }  # fmt: skip
    user = (await app.me(ada.token)).data["user"]
    assert (user["firstName"], user["title"], user["language"]) == ("Ada", "", "de")
    assert check_success(await change(app, ada, {"language": ""}))["language"] is None
    recorded = [event for event in await trail(app, client) if event.event == "user_changed"]
    assert [json.loads(event.detail) for event in recorded] == [
        {"before": {"first_name": "", "last_name": "", "title": ""},
         "after": {"first_name": "Ada", "last_name": "Byron", "title": "Countess"}},
        {"before": {"title": "Countess", "language": None}, "after": {"title": "", "language": "de"}},
        {"before": {"language": "de"}, "after": {"language": None}},
    ]  # fmt: skip
    assert {event.actor for event in recorded} == {event.subject for event in recorded} == {f"user:{ada.id}"}


async def test_what_changes_nothing_is_not_recorded(app: App, client: str, ada: Member) -> None:
    before = len(await trail(app, client))
    for body in ({}, {"firstName": "", "language": ""}, {"title": ""}):
        check_success(await change(app, ada, body))
    assert len(await trail(app, client)) == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"firstName": "x" * 101}, "firstName"), ({"lastName": "a\x07"}, "lastName"), ({"title": "a\u200bb"}, "title"),
        ({"language": "xx"}, "language"), ({"language": 1}, "language"), ({"firstName": ["a"]}, "firstName"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named(app: App, ada: Member, body: Any, field: str) -> None:
    error = check_refusal(await change(app, ada, body), 400, "VALIDATION_ERROR")
    assert [one["field"] for one in error["details"]] == [field]
    assert (await app.me(ada.token)).data["user"]["firstName"] == ""


async def test_nothing_else_of_the_account_changes(app: App, ada: Member) -> None:
    before = (await app.me(ada.token)).data
    await change(app, ada, {"email": "x@y.example", "roles": ["Admin"], "description": "x", "id": 1})
    assert (await app.me(ada.token)).data == before


async def test_it_takes_a_session(app: App) -> None:
    check_refusal(await app.send("PATCH", PATH, {"title": "x"}), 401, "UNAUTHENTICATED")
