"""Every interface rejects account texts that are too long, with the same message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.support.accounts import new_user, token_of
from tests.support.application import App
from tests.support.visitor import Visitor

pytestmark = pytest.mark.one_store

LONG = "x" * 101
TOO_LONG = "Must have at most 100 characters"
EMAIL = "too-long-a-name@acme.example"
ADD = "mutation($i: AddUserInput!) { addUser(input: $i) { id } }"
INVITE = "mutation($i: InviteUserInput!) { inviteUser(input: $i) { user { id } } }"
UPDATE = "mutation($id: Int!, $i: UpdateUserInput!) { updateUser(id: $id, input: $i) { id } }"


async def by_rest(app: App, method: str, path: str, **body: object) -> list[str]:
    token = await (app.admin_token() if "/admin/" in path else token_of(app, "admin@acme.example"))
    reply = await app.send(method, path, body, token=token)
    return [one["message"] for one in reply.json.get("error", {}).get("details", [])]


async def by_graphql(app: App, query: str, **variables: object) -> list[str]:
    body = {"query": query, "variables": variables}
    reply = await app.post("/api/client/graphql", body, token=await token_of(app, "admin@acme.example"))
    errors = reply.json.get("errors", [])
    return [one["message"] for error in errors for one in error["extensions"].get("details", [])]


async def test_a_name_of_101_characters_is_rejected_by_every_interface(app: App) -> None:
    number, email = await new_user(app)
    users, person = "/api/admin/clients/acme/users", {"email": EMAIL, "roles": ["Viewer"], "firstName": LONG}
    visitor = await Visitor(app).signed_in("admin@acme.example")
    operator = await Visitor(app).system_admin()

    async def submitted(by: Visitor, path: str, form: dict[str, str] | None, at: str = "", **typed: str) -> list[str]:
        return (await by.submit(await by.get(at or path), path, form, **typed)).problems

    user, client = f"/console/users/{number}", "/installation/clients/acme"
    interfaces: dict[str, Callable[[], Awaitable[list[str]]]] = {
        "REST, create": lambda: by_rest(app, "POST", users, **person),
        "REST, change": lambda: by_rest(app, "PATCH", f"{users}/{number}", firstName=LONG),
        "REST, own": lambda: by_rest(app, "PATCH", "/api/client/auth/me", firstName=LONG),
        "GraphQL, add": lambda: by_graphql(app, ADD, i=person),
        "GraphQL, invite": lambda: by_graphql(app, INVITE, i=person),
        "GraphQL, update": lambda: by_graphql(app, UPDATE, id=number, i={"firstName": LONG}),
        "invite page": lambda: submitted(visitor, "/console/invite", None, people=f"{LONG} King <{EMAIL}>"),
        "console": lambda: submitted(visitor, user, {"act": "details"}, firstName=LONG),
        "account page": lambda: submitted(visitor, "/account/profile", None, firstName=LONG),
        "installation console": lambda: submitted(
            operator, client, {"act": "invite"}, f"{client}?show=users", email=EMAIL, firstName=LONG
        ),
    }
    found = {name: await interface() for name, interface in interfaces.items()}
    wrong = {name: said for name, said in found.items() if said != [TOO_LONG]}
    assert wrong == {}
    token = await app.admin_token()
    assert (await app.get(f"{users}?q={EMAIL}", token=token)).data["items"] == []
    assert (await app.get(f"{users}/{number}", token=token)).data["firstName"] != LONG, email
