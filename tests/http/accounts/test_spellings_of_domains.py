"""A Unicode domain and its ASCII form (``xn--``) are the same, so that each mailbox has only one account."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.accounts import new_client, new_user
from tests.support.application import PASSWORD, App
from tests.support.rows import change_rows
from tests.support.rules import rule

OTHER_PASSWORD = "quarry-lantern-88-thistle"
_numbers = itertools.count(1)


@pytest.fixture(params=["in letters first", "in ASCII first"])
def spellings(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Two spellings of one new address."""
    number = next(_numbers)
    found = f"Ada{number}@Öm.example", f"ada{number}@xn--m-0ga.example"
    return found if request.param == "in letters first" else found[::-1]


async def stored_before(app: App, user_id: int, email: str) -> None:
    """Store the row as it was written when each spelling was a separate address."""
    assert await change_rows(app, "users", {"id": user_id}, email=email, email_key=email.lower()) == 1


async def statuses(app: App, client: str, *bodies: dict[str, Any]) -> list[int]:
    path, token = f"/api/admin/clients/{client}/users", await app.admin_token()
    return sorted(reply.status for reply in await asyncio.gather(*(app.post(path, b, token=token) for b in bodies)))


@rule("EMAIL-FORM")
async def test_one_of_two_concurrent_accounts_is_created_and_both_spellings_open_it(
    app: App, spellings: tuple[str, str]
) -> None:
    client, (one, other) = await new_client(app), spellings
    bodies: list[dict[str, Any]] = [
        {"email": email, "roles": ["Viewer"], "password": PASSWORD} for email in (one, other)
    ]
    assert await statuses(app, client, *bodies) == [201, 409]
    for email in (one, other):
        assert (await app.sign_in(email, client=client)).status == 200
        assert await statuses(app, client, {"email": email, "roles": ["Viewer"]}) == [409]


@rule("EMAIL-FORM")
async def test_an_older_account_is_found_by_both_spellings_and_not_duplicated(
    app: App, spellings: tuple[str, str]
) -> None:
    client, (one, other) = await new_client(app), spellings
    user_id, _ = await new_user(app, client, "first@x.example", password=PASSWORD)
    await stored_before(app, user_id, one)
    base, token = f"/api/admin/clients/{client}/users", await app.admin_token()
    for email in (one, other):
        for named in (client, None):
            assert (await app.sign_in(email, client=named)).data["user"]["id"] == user_id
        assert await statuses(app, client, {"email": email, "roles": ["Viewer"]}) == [409]
    found = await app.get(f"{base}?q={quote(one.lower())}", token=token)
    assert [user["id"] for user in found.data["items"]] == [user_id]
    assert (await app.send("PATCH", f"{base}/{user_id}", {"email": other}, token=token)).status == 200
    assert (await app.sign_in(one, client=client)).data["user"]["email"] == other


@rule("EMAIL-FORM")
async def test_two_older_accounts_of_one_mailbox_stay_separate(app: App, spellings: tuple[str, str]) -> None:
    client = await new_client(app)
    passwords = dict(zip(spellings, (PASSWORD, OTHER_PASSWORD), strict=True))
    ids: dict[str, int] = {}
    for number, (email, password) in enumerate(passwords.items()):
        ids[email], _ = await new_user(app, client, f"{number}@x.example", password=password)
        await stored_before(app, ids[email], email)
    base, token = f"/api/admin/clients/{client}/users", await app.admin_token()
    for email in (*ids, *ids):  # each one signs in last once
        for named in (client, None):
            assert (await app.sign_in(email, passwords[email], named)).data["user"]["id"] == ids[email]
        assert (await app.send("PATCH", f"{base}/{ids[email]}", {"title": "Dr."}, token=token)).status == 200
        assert await statuses(app, client, {"email": email, "roles": ["Viewer"]}) == [409]
    pages: list[int] = []
    cursor = ""
    while cursor is not None:
        page = (await app.get(f"{base}?sort=EMAIL&first=1&after={cursor}", token=token)).data
        pages, cursor = [*pages, *(user["id"] for user in page["items"])], page["nextCursor"]
    assert sorted(pages) == sorted(ids.values())
