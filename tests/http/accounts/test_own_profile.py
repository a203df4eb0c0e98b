"""``PATCH /api/client/auth/me`` changes only the user's own names, title, and language."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import trail
from tests.support.application import App, Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.people import Member, member, own_client

pytestmark = pytest.mark.one_store

ME = "/api/client/auth/me"


async def change(app: App, who: Member, **members: Any) -> Reply:
    return await app.send("PATCH", ME, members, token=who.token)


async def shown(app: App, who: Member) -> dict[str, Any]:
    found: dict[str, Any] = (await app.me(cookie=who.cookie)).data["user"]
    return found


@matrix("role", ["Admin", "User Admin", "Author", "Viewer"])
async def test_every_user_can_change_their_names_title_and_language(app: App, role: str) -> None:
    own = await own_client(app)
    who = await member(app, own.identifier, role)
    assert (await shown(app, who))["language"] is None
    given = {"firstName": "Zoë", "lastName": "de la Cruz", "title": "Dr", "language": "es"}
    assert check_success(await change(app, who, **given)) == given
    now = await shown(app, who)
    assert {name: now[name] for name in given} == given
    assert (now["email"], now["roles"]) == (who.email, [role])


async def test_omitted_fields_stay_and_null_removes_the_language(app: App) -> None:
    own = await own_client(app)
    await change(app, own.client_admin, firstName="Ada", title="Dr", language="ja")
    kept = check_success(await change(app, own.client_admin, lastName="Lovelace"))
    assert kept == {"firstName": "Ada", "lastName": "Lovelace", "title": "Dr", "language": "ja"}
    assert check_success(await change(app, own.client_admin, title="", language=None)) == {
        **kept,
        "title": "",
        "language": None,
    }
    assert check_success(await change(app, own.client_admin))["language"] is None


async def test_every_session_sees_a_change_immediately(app: App) -> None:
    own = await own_client(app)
    other = (await app.sign_in(own.client_admin.email, client=own.identifier)).cookie("session")
    assert (await app.me(cookie=other)).data["user"]["language"] is None
    await change(app, own.client_admin, language="fr", firstName="Ada")
    found = (await app.me(cookie=other)).data["user"]
    assert (found["language"], found["firstName"]) == ("fr", "Ada")


@matrix(
    ("members", "field"),
    [({"language": "xx"}, "language"), ({"language": "EN"}, "language"), ({"language": 1}, "language"),
     ({"firstName": "x" * 101}, "firstName"), ({"lastName": "two\nlines"}, "lastName"),
     ({"title": "unseen \u202e"}, "title"), ({"firstName": None}, "firstName")],
)  # fmt: skip
async def test_an_invalid_value_is_rejected_by_name(app: App, members: dict[str, Any], field: str) -> None:
    own = await own_client(app)
    before = await shown(app, own.client_admin)
    error = check_refusal(await change(app, own.client_admin, **members), 400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in error["details"]] == [field]
    assert await shown(app, own.client_admin) == before


async def test_address_and_roles_cannot_be_changed_this_way(app: App) -> None:
    own = await own_client(app)
    reply = await change(app, own.clerk, email="boss@evil.example", roles=["Admin"], description="x", title="Boss")
    error = check_refusal(reply, 400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in error["details"]] == ["email", "roles", "description"]
    now = await shown(app, own.clerk)
    assert (now["email"], now["roles"], now["title"]) == (own.clerk.email, ["User Admin"], "")


async def test_changes_are_in_the_audit_trail(app: App) -> None:
    own = await own_client(app)
    await change(app, own.clerk, language="de", firstName="Eva", lastName="")
    event = (await trail(app, own.identifier))[-1]
    assert (event.event, event.actor, event.subject) == ("user_changed", f"user:{own.clerk.id}", f"user:{own.clerk.id}")
    assert event.members == {
        "before": {"language": None, "first_name": ""},
        "after": {"language": "de", "first_name": "Eva"},
    }
    count = len(await trail(app, own.identifier))
    await change(app, own.clerk, language="de")
    assert len(await trail(app, own.identifier)) == count


async def test_requests_without_a_session_are_rejected(app: App) -> None:
    check_refusal(await app.send("PATCH", ME, {"language": "de"}), 401, "UNAUTHENTICATED")
