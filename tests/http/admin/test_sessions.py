"""System admins see and end a client's sessions, and lists of clients and users are sorted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.application import App
from tests.support.envelope import check_refusal, check_success, same_but_request_id
from tests.support.rules import rule
from tests.support.system_admins import SystemAdmin, events, signed_in_admin

pytestmark = pytest.mark.one_store

ACME, GLOBEX = "/api/admin/clients/acme", "/api/admin/clients/globex"
MEMBERS = {"id", "userId", "email", "method", "createdAt", "endsAt", "lastUsedAt", "endedAt", "endReason", "address",
           "userAgent", "appId", "label"}  # fmt: skip


@pytest.fixture
async def root(app: App) -> SystemAdmin:
    app.clock.advance(60)
    root = await signed_in_admin(app)
    for client in (ACME, GLOBEX):
        check_success(await root.send("DELETE", f"{client}/sessions"))
    return root


async def listed(root: SystemAdmin, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = check_success(await root.get(path))["items"]
    return items


async def test_a_clients_sessions_are_listed_without_credentials(root: SystemAdmin) -> None:
    app = root.app
    one = await app.sign_in("viewer@acme.example", headers={"User-Agent": "Lynx"})
    await app.sign_in("viewer@globex.example")
    reply = await root.get(f"{ACME}/sessions")
    [session] = check_success(reply)["items"]
    assert set(session) == MEMBERS
    assert (session["email"], session["method"], session["userAgent"]) == ("viewer@acme.example", "password", "Lynx")
    for key in (one.data["token"], one.data["refreshToken"], one.cookie("session")):
        assert key not in reply.text


@rule("SESSION-ENDED-BY-OTHERS")
async def test_one_session_is_ended_and_the_others_stay(root: SystemAdmin) -> None:
    app = root.app
    one, other = [(await app.sign_in("viewer@acme.example")).data["token"] for _ in range(2)]
    newest, _ = await listed(root, f"{ACME}/sessions?sort=ID")
    check_success(await root.send("DELETE", f"{ACME}/sessions/{newest['id']}"))
    statuses = sorted([(await app.me(token)).status for token in (one, other)])
    assert statuses == [200, 401]
    [over] = await listed(root, f"{ACME}/sessions?state=over&first=1&sort=CREATED_DESC")
    assert over["endReason"] == "ended_by_admin"
    check_refusal(await root.send("DELETE", f"{ACME}/sessions/{newest['id']}"), 404, "NOT_FOUND")


@rule("SESSION-ENDED-BY-OTHERS")
async def test_all_sessions_of_a_client_end_and_no_others(root: SystemAdmin) -> None:
    app = root.app
    ours = [(await app.sign_in(f"{name}@acme.example")).data["token"] for name in ("viewer", "author")]
    theirs = (await app.sign_in("viewer@globex.example")).data["token"]
    assert check_success(await root.send("DELETE", f"{ACME}/sessions")) == {"ended": 2}
    for token in ours:
        check_refusal(await app.me(token), 401, "INVALID_TOKEN")
    check_success(await app.me(theirs))
    assert await listed(root, f"{ACME}/sessions") == []
    event, actor, subject, detail = (await events(app, app.ids["acme"]))[-1]
    assert (event, actor, subject) == ("signed_out_all", f"admin:{root.id}", f"client:{app.ids['acme']}")
    assert detail == {"sessions": 2}


async def test_a_users_sessions(root: SystemAdmin) -> None:
    app = root.app
    for name in ("viewer", "viewer", "author"):
        await app.sign_in(f"{name}@acme.example")
    user = f"{ACME}/users/{app.ids['viewer@acme.example']}"
    assert [row["email"] for row in await listed(root, f"{user}/sessions")] == ["viewer@acme.example"] * 2
    assert check_success(await root.send("DELETE", f"{user}/sessions")) == {"ended": 2}
    assert [row["email"] for row in await listed(root, f"{ACME}/sessions")] == ["author@acme.example"]


async def test_another_clients_session_looks_nonexistent(root: SystemAdmin) -> None:
    app = root.app
    token = (await app.sign_in("viewer@globex.example")).data["token"]
    [foreign] = await listed(root, f"{GLOBEX}/sessions")
    replies = [await root.send("DELETE", f"{ACME}/sessions/{id_}") for id_ in (foreign["id"], "A" * 22)]
    check_refusal(replies[0], 404, "NOT_FOUND")
    same_but_request_id(*replies)
    check_refusal(await root.get(f"{ACME}/sessions?after={foreign['id']}"), 400, "VALIDATION_ERROR")
    own, user = app.ids["viewer@acme.example"], app.ids["viewer@globex.example"]
    for method, path in (
        ("GET", f"{user}/sessions"),
        ("DELETE", f"{user}/sessions"),
        ("DELETE", f"{user}/sessions/{foreign['id']}"),
        ("DELETE", f"{own}/sessions/{foreign['id']}"),
    ):
        same_but_request_id(await root.send(method, f"{ACME}/users/{path}"), replies[1])
    check_success(await app.me(token))


async def test_the_list_is_paged_sorted_and_filtered(root: SystemAdmin) -> None:
    app = root.app
    for number in range(5):
        app.clock.advance(number % 2)  # some at the same moment
        await app.sign_in("viewer@acme.example", headers={"User-Agent": f"Browser {number}"})
    for sort in ("CREATED", "CREATED_DESC", "ID", "ID_DESC"):
        whole = await listed(root, f"{ACME}/sessions?sort={sort}")
        assert len(whole) == 5
        by = [(row["createdAt"], row["id"]) if "CREATED" in sort else row["id"] for row in whole]
        assert by == sorted(by, reverse=sort.endswith("_DESC"))
        found, cursor = [], ""
        while cursor is not None:
            page = check_success(await root.get(f"{ACME}/sessions?first=2&sort={sort}&after={cursor}"))
            found += page["items"]
            cursor = page["nextCursor"]
        assert found == whole
    assert [row["userAgent"] for row in await listed(root, f"{ACME}/sessions?q=BROWSER%203")] == ["Browser 3"]
    assert await listed(root, f"{ACME}/sessions?method=oidc") == []
    assert len(await listed(root, f"{ACME}/sessions?method=password")) == 5
    assert len(await listed(root, f"{ACME}/sessions?state=all&first=100")) > 5
    app.clock.advance(31 * 86_400)
    root.token = (await root.again()).token
    assert await listed(root, f"{ACME}/sessions") == []  # they have expired


async def test_clients_are_sorted_and_filtered(root: SystemAdmin) -> None:
    for name in ("sorted-b", "sorted-a", "sorted-c"):
        body = {"identifier": name, "name": f"Sorted {name[-1] if name[-1] != 'a' else 'z'}"}
        check_success(await root.post("/api/admin/clients", body), 201)
    expected = {"ID": "bac", "IDENTIFIER": "abc", "NAME": "bca", "CREATED": "bac"}
    for sort, letters in expected.items():
        for order, want in ((sort, letters), (f"{sort}_DESC", letters[::-1])):
            found: list[str] = []
            cursor = ""
            while cursor is not None:
                path = f"/api/admin/clients?q=sorted-&sort={order}&first=2&after={cursor}"
                page = check_success(await root.get(path))
                found += [client["identifier"][-1] for client in page["items"]]
                cursor = page["nextCursor"]
            assert "".join(found) == want, order
    check_success(await root.post("/api/admin/clients/sorted-b/suspend"))
    by_state: dict[str, list[str]] = {"suspended": ["sorted-b"], "active": ["sorted-a", "sorted-c"], "deleted": []}
    for state, names in by_state.items():
        items = await listed(root, f"/api/admin/clients?q=sorted-&state={state}&sort=IDENTIFIER")
        assert [client["identifier"] for client in items] == names
    for wrong in ("sort=x", "state=x", "sort=NAME&after=999999"):
        check_refusal(await root.get(f"/api/admin/clients?{wrong}"), 400, "VALIDATION_ERROR")


async def test_users_are_sorted_and_filtered(root: SystemAdmin) -> None:
    base = f"{GLOBEX}/users"
    emails = [user["email"] for user in await listed(root, f"{base}?sort=EMAIL&first=100")]
    assert emails == sorted(emails)
    found: list[str] = []
    cursor = ""
    while cursor is not None:
        page = check_success(await root.get(f"{base}?sort=EMAIL_DESC&first=3&after={cursor}"))
        found += [user["email"] for user in page["items"]]
        cursor = page["nextCursor"]
    assert found == emails[::-1]
    assert [u["email"] for u in await listed(root, f"{base}?role=User%20Admin")] == ["user-admin@globex.example"]
    path = f"{base}/{root.app.ids['operator@globex.example']}"
    check_success(await root.post(f"{path}/deactivate"))
    assert [u["email"] for u in await listed(root, f"{base}?state=inactive")] == ["operator@globex.example"]
    assert len(await listed(root, f"{base}?state=active&first=100")) == len(emails) - 1
    check_success(await root.post(f"{path}/restore"))
    foreign = root.app.ids["viewer@acme.example"]
    for wrong in ("sort=x", "role=x", f"sort=EMAIL&after={foreign}"):
        check_refusal(await root.get(f"{base}?{wrong}"), 400, "VALIDATION_ERROR")
