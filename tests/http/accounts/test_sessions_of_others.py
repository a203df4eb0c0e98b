"""``/api/client/users/{id}/sessions`` lets users of sufficient rank see and end the sessions of others."""

from __future__ import annotations

from typing import Any

from tests.support.accounts import Keys, keys_of, opened_by, trail
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success, same_but_request_id
from tests.support.matrix import matrix
from tests.support.people import Member, OwnClient, member, own_client


def path_of(user: Member) -> str:
    return f"/api/client/users/{user.id}/sessions"


async def _signed_in(own: OwnClient, who: Member) -> Keys:
    return await keys_of(own.app, who.email, client=own.identifier)


async def _listed(app: App, by: Member, of: Member, query: str = "") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = check_success(await app.get(path_of(of) + query, token=by.token))["items"]
    return items


@matrix("who", ["client_admin", "clerk"])
async def test_user_managers_see_sessions_but_no_credentials(app: App, who: str) -> None:
    own = await own_client(app)
    viewer = await member(app, own.identifier)
    keys = await _signed_in(own, viewer)
    manager = getattr(own, who)
    rows = await _listed(app, manager, viewer)
    assert len(rows) == 2
    assert {row["email"] for row in rows} == {viewer.email}
    assert not any(key in str(rows) for key in keys)
    assert len(await _listed(app, manager, viewer, "?first=1")) == 1


@matrix("who", ["client_admin", "clerk"])
async def test_one_is_ended_and_the_other_stays(app: App, who: str) -> None:
    own = await own_client(app)
    viewer = await member(app, own.identifier)
    app.clock.advance(1)
    keys, manager = await _signed_in(own, viewer), getattr(own, who)
    newest = (await _listed(app, manager, viewer))[0]["id"]
    ended = await app.send("DELETE", f"{path_of(viewer)}/{newest}", token=manager.token)
    assert check_success(ended) == {"ended": 1}
    event = (await trail(app, own.identifier))[-1]
    assert await opened_by(app, keys) == []
    assert (await app.me(viewer.token)).status == 200
    assert (event.event, event.actor, event.subject) == ("session_ended", f"user:{manager.id}", f"user:{viewer.id}")
    assert event.members == {"session": newest}
    again = await app.send("DELETE", f"{path_of(viewer)}/{newest}", token=manager.token)
    check_refusal(again, 404, "NOT_FOUND")


async def test_all_are_ended(app: App) -> None:
    own = await own_client(app)
    viewer = await member(app, own.identifier)
    keys = await _signed_in(own, viewer)
    assert check_success(await app.send("DELETE", path_of(viewer), token=own.clerk.token)) == {"ended": 2}
    assert await opened_by(app, keys) == []
    assert (await app.me(viewer.token)).status == 401
    assert (await app.me(own.clerk.token)).status == 200


async def test_only_an_admin_can_end_an_admins_sessions(app: App) -> None:
    own = await own_client(app)
    other = await member(app, own.identifier, "Admin", "Viewer")
    [session] = await _listed(app, own.client_admin, other)
    for method, path in (("GET", path_of(other)), ("DELETE", path_of(other)),
                         ("DELETE", f"{path_of(other)}/{session['id']}")):  # fmt: skip
        check_refusal(await app.send(method, path, token=own.clerk.token), 403, "FORBIDDEN")
    assert (await app.me(other.token)).status == 200
    await app.send("DELETE", f"{path_of(other)}/{session['id']}", token=own.client_admin.token)
    assert (await app.me(other.token)).status == 401


async def test_a_session_cannot_be_ended_under_another_users_id(app: App) -> None:
    """A User Admin tries to end an Admin's session through the path of a user of lower rank."""
    own = await own_client(app)
    viewer = await member(app, own.identifier)
    [session] = await _listed(app, own.client_admin, own.client_admin)
    reply = await app.send("DELETE", f"{path_of(viewer)}/{session['id']}", token=own.clerk.token)
    check_refusal(reply, 404, "NOT_FOUND")
    assert (await app.me(own.client_admin.token)).status == 200


@matrix("role", ["Author", "Approver", "Publisher", "Operator", "Viewer"])
async def test_other_roles_do_not_see_them(app: App, role: str) -> None:
    own = await own_client(app)
    other = await member(app, own.identifier, role)
    check_refusal(await app.get(path_of(other), token=other.token), 403, "FORBIDDEN")
    check_refusal(await app.send("DELETE", path_of(own.clerk), token=other.token), 403, "FORBIDDEN")


async def test_another_clients_user_looks_nonexistent(app: App) -> None:
    own, other = await own_client(app), await own_client(app)
    viewer = await member(app, other.identifier)
    missing = await app.get("/api/client/users/999999999/sessions", token=own.client_admin.token)
    same_but_request_id(await app.get(path_of(viewer), token=own.client_admin.token), missing)
    check_refusal(missing, 404, "NOT_FOUND")
    [session] = await _listed(app, other.client_admin, viewer)
    for path in (path_of(viewer), f"{path_of(viewer)}/{session['id']}", f"{path_of(own.clerk)}/{session['id']}"):
        check_refusal(await app.send("DELETE", path, token=own.client_admin.token), 404, "NOT_FOUND")
    assert (await app.me(viewer.token)).status == 200


async def test_a_system_admin_ends_one_session_of_a_user(app: App) -> None:
    own = await own_client(app)
    viewer, root = await member(app, own.identifier), await app.admin_token()
    path = f"/api/admin/clients/{own.identifier}/users/{viewer.id}/sessions"
    [session] = check_success(await app.get(path, token=root))["items"]
    elsewhere = f"/api/admin/clients/{own.identifier}/users/{own.clerk.id}/sessions/{session['id']}"
    check_refusal(await app.send("DELETE", elsewhere, token=root), 404, "NOT_FOUND")
    assert check_success(await app.send("DELETE", f"{path}/{session['id']}", token=root)) == {"ended": 1}
    assert (await app.me(viewer.token)).status == 401
