"""Someone with a directory's token can't take over an Admin, a person of another directory, or a way to sign in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.http.bodies import send
from tests.http.scim.connecting import BULK, GROUP, USER, Connection, connect, shown
from tests.support.accounts import act_on, new_user
from tests.support.application import PASSWORD, App, Reply
from tests.support.envelope import check_refusal
from tests.support.graphql_operations import everything
from tests.support.matrix import matrix
from tests.support.people import Member, member, user_of
from tests.support.routes import ROUTES

pytestmark = [pytest.mark.one_store, pytest.mark.still]

EVIL = "thief@evil.example"
Attempt = Callable[["Scene"], Awaitable[Reply]]


def to(path: str, value: Any) -> dict[str, Any]:
    """A PATCH operation."""
    return {"op": "replace", "path": path, "value": value}


@dataclass
class Scene:
    """A User Admin saved ``stolen`` last. Before, an Admin allowed it to manage Admins, and it created ``chief``."""

    stolen: Connection
    other: Connection  # another connection of the client
    foreign: Connection  # of another client
    chief: str
    own: str
    dismissed: str
    theirs: str
    abroad: str

    @property
    def admin(self) -> Member:
        """An Admin that no connection manages."""
        return self.stolen.admin

    async def of_person(self, user: str, client: str = "") -> dict[str, Any]:
        return await user_of(self.stolen.app, client or self.stolen.client, int(user))


@pytest.fixture(scope="module")
async def scene(app: App) -> Scene:
    line = {"group": "Chiefs", "roles": ["Admin", "Operator"]}
    stolen = await connect(app, adoptUsers=True, mayManageAdmins=True, groupRoles=[line])
    other, foreign = await connect(app, "other", stolen.client), await connect(app)
    chief, own = await _user(stolen, "chief"), await _user(stolen, "own")
    dismissed, _ = await new_user(app, stolen.client, f"dismissed@{stolen.client}.example")
    await stolen.group("Chiefs", chief)
    assert "Admin" in await stolen.roles(chief)
    clerk = await member(app, stolen.client, "User Admin")
    saved = {"groupRoles": [{**line, "roles": ["Operator"]}]}
    changed = await app.send("PATCH", f"/api/client/scim/{stolen.name}", saved, token=clerk.token)
    assert changed.data["mayManageAdmins"] is False
    await act_on(app, f"{stolen.client}/users/{dismissed}/deactivate")
    theirs, abroad = await _user(other, "theirs"), await _user(foreign, "abroad")
    return Scene(stolen, other, foreign, chief, own, str(dismissed), theirs, abroad)


async def _user(of: Connection, name: str) -> str:
    return await of.user(f"{name}@{of.client}.example")


async def test_it_opens_no_other_route(app: App, scene: Scene) -> None:
    before = await everything(app)
    for route in ROUTES:
        if route.who == "open" or route.path.startswith("/scim/"):
            continue
        reply = await send(app, route, scene.stolen.token)
        assert reply.status == 401, f"{route}: {reply.text}"
    assert await everything(app) == before


def to_user(user: str, *operations: dict[str, Any]) -> Attempt:
    async def attempt(scene: Scene) -> Reply:
        return await scene.stolen.patch(f"/Users/{getattr(scene, user)}", *operations)

    return attempt


def call(method: str, path: str, body: Callable[[Scene], Any] = lambda _: None) -> Attempt:
    async def attempt(scene: Scene) -> Reply:
        return await scene.stolen.send(method, path.format_map({**vars(scene), "admin": scene.admin.id}), body(scene))

    return attempt


def person(email: str) -> Attempt:
    async def attempt(scene: Scene) -> Reply:
        return await scene.stolen.post_user(email.format(client=scene.stolen.client, admin=scene.admin.email))

    return attempt


def user_as(**members: Any) -> Callable[[Scene], Any]:
    core = {"schemas": [USER], "active": True, "userName": EVIL, "emails": [{"value": EVIL, "primary": True}]}
    return lambda _: {**core, **members}


async def by_another_name(scene: Scene) -> Reply:
    return await scene.stolen.post_user("Stranger", emails=[{"value": scene.admin.email, "type": "other"}])


async def the_address_of_an_admin(scene: Scene) -> Reply:
    return await to_user("own", to("emails", [{"value": scene.admin.email, "primary": True}]))(scene)


async def into_the_group_of(scene: Scene, user: str) -> Reply:
    members = [{"value": getattr(scene, user)}]
    return await scene.stolen.send(
        "POST", "/Groups", {"schemas": [GROUP], "displayName": "Planted", "members": members}
    )


async def at_the_client_of_others(scene: Scene) -> Reply:
    return await scene.stolen.app.get(f"{scene.foreign.base}/Users", token=scene.stolen.token)


async def in_bulk(scene: Scene) -> Reply:
    asked = [
        ("PATCH", f"/Users/{scene.chief}"),
        ("PATCH", f"/Users/{scene.theirs}"),
        ("DELETE", f"/Users/{scene.chief}"),
    ]
    operations = [
        {"method": method, "path": path, "data": {"Operations": [to("active", False)]}} for method, path in asked
    ]
    reply = await scene.stolen.send("POST", "/Bulk", {"schemas": [BULK], "Operations": operations})
    assert [one["status"] for one in shown(reply)["Operations"]] == ["403", "404", "403"], reply.text
    return reply


async def by_roles_and_groups(scene: Scene) -> Reply:
    of = scene.stolen
    user = await of.user(f"planted@{of.client}.example", roles=[{"value": "Admin"}], groups=[{"value": "1"}])
    for name in ("Admin", "Chiefs"):
        await of.group(name, user, externalId=name)
    reply = await of.patch(f"/Users/{user}", to("roles", [{"value": "Admin", "primary": True}]))
    assert await of.roles(user) == {"Operator", "Viewer"}
    return reply


async def by_a_password(scene: Scene) -> Reply:
    of, email = scene.stolen, f"chosen@{scene.stolen.client}.example"
    user = await of.user(email, password=PASSWORD)
    reply = await of.patch(f"/Users/{user}", to("password", PASSWORD))
    check_refusal(await of.app.sign_in(email, client=of.client), 401, "INVALID_CREDENTIALS")
    return reply


async def released_and_dismissed(scene: Scene) -> Reply:
    of, email = scene.stolen, f"left@{scene.stolen.client}.example"
    user = await of.user(email)
    path = f"/api/client/scim/{of.name}/users/{user}"
    assert (await of.app.send("DELETE", path, token=of.admin.token)).status == 200
    await act_on(of.app, f"{of.client}/users/{user}/deactivate")
    reply = await of.post_user(email)
    assert (await scene.of_person(user))["deactivatedAt"]
    return reply


#: Each attempt with the status of its response.
ATTEMPTS: dict[str, tuple[Attempt, int]] = {
    "adopt an Admin": (person("{admin}"), 403),
    "adopt an Admin by another user name": (by_another_name, 403),
    "give its address to an Admin's": (to_user("chief", to("emails", [{"value": EVIL, "primary": True}])), 403),
    "rename an Admin": (to_user("chief", to("userName", EVIL)), 403),
    "deactivate an Admin": (to_user("chief", to("active", False)), 403),
    "deactivate an Admin as Entra does": (to_user("chief", {"op": "Replace", "path": "active", "value": "False"}), 403),
    "replace an Admin": (call("PUT", "/Users/{chief}", user_as()), 403),
    "delete an Admin": (call("DELETE", "/Users/{chief}"), 403),
    "take the address of an Admin": (the_address_of_an_admin, 409),
    "read an Admin that it doesn't manage": (call("GET", "/Users/{admin}"), 404),
    "deactivate an Admin that it doesn't manage": (call("DELETE", "/Users/{admin}"), 404),
    "bring back a dismissed colleague": (person("dismissed@{client}.example"), 403),
    "bring back a colleague who was dismissed later": (released_and_dismissed, 403),
    "read another directory's person": (call("GET", "/Users/{theirs}"), 404),
    "deactivate another directory's person": (to_user("theirs", to("active", False)), 404),
    "take over another directory's person": (person("theirs@{client}.example"), 409),
    "put another directory's person into a group": (lambda scene: into_the_group_of(scene, "theirs"), 400),
    "read another client's person": (call("GET", "/Users/{abroad}"), 404),
    "put another client's person into a group": (lambda scene: into_the_group_of(scene, "abroad"), 400),
    "use another client's address": (at_the_client_of_others, 401),
    "make an Admin by roles and groups": (by_roles_and_groups, 204),
    "choose a password": (by_a_password, 204),
    "everything in bulk": (in_bulk, 200),
    "look for passwords": (call("GET", "/Users?filter=password%20sw%20%22a%22"), 400),
    "act as someone": (call("GET", "/Me"), 501),
    "search everything": (call("POST", "/.search", lambda _: {"schemas": []}), 501),
}


@matrix("attempt", ATTEMPTS)
async def test_an_attempt_changes_no_one(scene: Scene, attempt: str) -> None:
    act, status = ATTEMPTS[attempt]
    people = [(scene.chief, ""), (scene.theirs, ""), (str(scene.admin.id), ""), (scene.dismissed, "")]
    people.append((scene.abroad, scene.foreign.client))
    before = [await scene.of_person(*one) for one in people]
    reply = await act(scene)
    assert reply.status == status, reply.text
    assert [await scene.of_person(*one) for one in people] == before
    assert (await scene.stolen.app.me(scene.admin.token)).status == 200
