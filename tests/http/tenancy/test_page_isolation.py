"""Pages with an object in their address: another client's objects look like objects that never existed."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.support.accounts import new_user
from tests.support.application import App, Reply
from tests.support.forged_tokens import right_token
from tests.support.graphql_operations import everything
from tests.support.machines import new_account
from tests.support.matrix import matrix
from tests.support.routes import PAGES, filled
from tests.support.single_sign_on import add_provider
from tests.support.team import Team, new_team
from tests.support.visitor import Page, Visitor

_SETTINGS = {"issuer": "http://127.0.0.1:9/op", "clientId": "c", "clientSecret": "s"}
#: All pages except those that name a client, which are for readers who can see every client.
NAMING = [
    (page.method, page.path)
    for page in PAGES
    if "{" in page.path and not page.path.startswith(("/assets/", "/docs/", "/installation/", "/o/"))
]
#: Actions of the forms on a user's page, and those that need no other fields.
_USER, _MACHINE, _APP = "/console/users/{id}", "/console/service-accounts/{id}", "/console/apps/{app}"
_SCIM = "/console/scim/{connection}"
ACTS = {
    _USER: (
        "details", "roles", "deactivate", "restore", "reset", "invite", "end-session", "end-sessions", "unlink",
        "confirm",
    ),
    _MACHINE: ("change", "disable", "enable", "delete", "make", "rotate", "revoke"),
    _APP: ("change", "remove", "secret", "revoke"),
    _SCIM: ("change", "delete", "token", "revoke"),
}  # fmt: skip
MERE_ACT = {_USER: "end-sessions", _MACHINE: "disable", _APP: "secret", _SCIM: "token", f"{_USER}/badge": "pin"}
#: Fields for the forms of a user and of a service account.
_TYPED = {"roleViewer": "on", "name": "taken-over", "kind": "key"}
pytestmark = pytest.mark.still


class Named(NamedTuple):
    """The names that a page's address can contain."""

    id: int
    name: str
    app: str
    connection: str


NEVER = Named(2**31 - 1, "never", "app_never", "never")


async def named(team: Team, pattern: str) -> Named:
    """New objects of the client, one of which the pattern refers to."""
    if pattern == _MACHINE:
        return Named((await new_account(team.app, team.client))["id"], "machine", "", "")
    user, _ = await new_user(team.app, team.client)
    at, body = f"/api/admin/clients/{team.client}/apps", {"name": "A", "kind": "device"}
    made = await team.app.post(at, body, token=await team.app.admin_token())
    provider = (await add_provider(team.app, team.client, oidc=_SETTINGS))["name"]
    connection = f"idp-{user}"
    at = f"/api/admin/clients/{team.client}/scim"
    await team.app.post(at, {"name": connection}, token=await team.app.admin_token())
    return Named(user, provider, made.data["id"], connection)


async def opened(team: Team, method: str, pattern: str, thing: Named, act: str = "") -> Reply:
    """The response to the client's Admin; forms have a valid token, so that only the address can be rejected."""
    path, admin = filled(pattern, **thing._asdict()), await team.member("Admin")
    visitor = Visitor(team.app, {"session": admin.cookie})
    if method == "GET":
        return (await visitor.get(path)).reply
    token = await right_token(visitor, path)
    typed = {"form": token, "act": act or MERE_ACT.get(pattern, ""), **_TYPED}
    return (await visitor.post(path, typed)).reply


def test_there_are_such_pages() -> None:
    assert {pattern.split("/")[2] for _, pattern in NAMING} == {
        "apps",
        "users",
        "providers",
        "scim",
        "service-accounts",
    }


async def refused(ours: Team, method: str, pattern: str, foreign: Named, act: str = "") -> None:
    """Check that another client's objects get the same response as nonexistent ones, and that nothing changes."""
    await ours.member("Admin")
    before = await everything(ours.app)
    replies = [await opened(ours, method, pattern, thing, act) for thing in (NEVER, foreign)]
    assert [(reply.status, Page(reply).heading) for reply in replies] == [(404, "Page not found")] * 2
    never, anothers = [reply.text.replace(reply.headers["x-request-id"], "") for reply in replies]
    assert never == anothers
    assert await everything(ours.app) == before


@matrix("page", NAMING, ids=" ".join)
async def test_anothers_page_looks_nonexistent(app: App, page: tuple[str, str]) -> None:
    ours, theirs = [await new_team(app) for _ in range(2)]
    own, foreign = [await named(team, page[1]) for team in (ours, theirs)]
    await refused(ours, *page, foreign)
    for team, thing in ((ours, own), (theirs, foreign)):  # they exist for their own Admins
        reply = await opened(team, *page, thing)
        assert reply.status in (200, 302, 303, 400, 409), reply.text


@matrix(("pattern", "act"), [(pattern, act) for pattern, acts in ACTS.items() for act in acts])
async def test_nothing_is_done_to_anothers_user_or_machine(app: App, pattern: str, act: str) -> None:
    ours, theirs = [await new_team(app) for _ in range(2)]
    await refused(ours, "POST", pattern, await named(theirs, pattern), act)
