"""Uses a user field that is declared once, in REST, GraphQL, the console, and the command line.

``python -m tests.architecture.new_field`` runs where the product's modules have the field ``department`` from
CONTRIBUTING; ``test_contributing`` runs it that way.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.support.application import FAST, App, running
from tests.support.commands import environment
from tests.support.stores import migrated
from tests.support.visitor import Visitor

USERS = "/api/admin/clients/acme/users"
SHOWN = "{ id firstName department }"
ADD = f"mutation($i: AddUserInput!) {{ addUser(input: $i) {SHOWN} }}"
INVITE = f"mutation($i: InviteUserInput!) {{ inviteUser(input: $i) {{ user {SHOWN} }} }}"
UPDATE = f"mutation($id: Int!, $i: UpdateUserInput!) {{ updateUser(id: $id, input: $i) {SHOWN} }}"
LONG, TOO_LONG = "x" * 101, "Must have at most 100 characters"


async def _graphql(app: App, email: str, query: str, **variables: object) -> Any:
    token = (await app.sign_in(email)).data["token"]
    return (await app.post("/api/client/graphql", {"query": query, "variables": variables}, token=token)).json


def _messages(reply: Any) -> list[str]:
    return [one["message"] for error in reply["errors"] for one in error["extensions"]["details"]]


async def _by_rest(app: App) -> int:
    token = await app.admin_token()
    person = {"email": "rest@acme.example", "roles": ["Viewer"]}
    made = (await app.post(USERS, {**person, "department": "Paint shop"}, token=token)).data
    one = f"{USERS}/{made['id']}"
    assert made["department"] == "Paint shop"
    assert (await app.send("PATCH", one, {"department": "Stores"}, token=token)).data["department"] == "Stores"
    await app.send("PATCH", one, {"firstName": "Ada"}, token=token)
    [listed] = (await app.get(f"{USERS}?q=rest@acme.example", token=token)).data["items"]
    assert (listed["firstName"], listed["department"]) == ("Ada", "Stores")
    for method, path, body in (("POST", USERS, {**person, "email": "b@acme.example"}), ("PATCH", one, {})):
        refused = await app.send(method, path, {**body, "department": LONG}, token=token)
        assert refused.json["error"]["details"] == [{"field": "department", "message": TOO_LONG}]
    return int(made["id"])


async def _by_graphql(app: App, number: int) -> None:
    admin, person = "admin@acme.example", {"roles": ["Viewer"], "department": "Forge"}
    added = await _graphql(app, admin, ADD, i={**person, "email": "added@acme.example"})
    assert added["data"]["addUser"]["department"] == "Forge"
    invited = await _graphql(app, admin, INVITE, i={**person, "email": "invited@acme.example"})
    assert invited["data"]["inviteUser"]["user"]["department"] == "Forge"
    changed = await _graphql(app, admin, UPDATE, id=number, i={"department": "Foundry"})
    assert changed["data"]["updateUser"]["department"] == "Foundry"
    for query, variables in (
        (ADD, {"i": {**person, "email": "b@acme.example", "department": LONG}}),
        (INVITE, {"i": {**person, "email": "b@acme.example", "department": LONG}}),
        (UPDATE, {"id": number, "i": {"department": LONG}}),
    ):
        assert _messages(await _graphql(app, admin, query, **variables)) == [TOO_LONG]
    asked = "query($id: Int!) { user(id: $id) { firstName department } }"
    refused = await _graphql(app, "viewer@acme.example", asked, id=number)
    assert [error["extensions"]["code"] for error in refused["errors"]] == ["FORBIDDEN"]


async def _by_the_console(app: App, number: int) -> None:
    path = f"/console/users/{number}"
    visitor = await Visitor(app).signed_in("admin@acme.example")
    page = await visitor.get(path)
    assert page.form(path, act="details").fields["department"] == "Foundry"
    [field] = page.tree.xpath("//input[@name='department']")
    assert field.get("maxlength") == "100"
    assert "Department For example, Paint shop" in page.text
    refused = await visitor.submit(page, path, {"act": "details"}, department=LONG)
    assert refused.problems == [TOO_LONG]
    assert refused.form(path, act="details").fields["department"] == LONG
    assert (await visitor.submit(page, path, {"act": "details"}, department="Assembly")).status == 303
    assert (await visitor.get(path)).form(path, act="details").fields["department"] == "Assembly"
    invited = await visitor.submit(await visitor.get("/console/invite"), "/console/invite", people="c@acme.example")
    assert invited.status == 200, invited.reply.text
    assert "department" not in (await visitor.get("/account/profile")).reply.text


def _create(folder: Path, url: str, email: str, department: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "manifest_auth", "user", "create", email, "--client", "acme", "--role", "Viewer"]
    given = environment(folder, **FAST, MANIFEST_DATABASE_URL=url, PYTHONPATH=os.environ["PYTHONPATH"])
    return subprocess.run(
        [*command, "--department", department, "--password-stdin"], env=given, cwd=folder,
        input="glacier-pencil-77-mango\n", capture_output=True, text=True, check=False,
    )  # fmt: skip


async def _by_the_command_line(app: App, folder: Path, url: str) -> None:
    created = await asyncio.to_thread(_create, folder, url, "cli@acme.example", "Yard")
    assert created.returncode == 0, created.stderr
    refused = await asyncio.to_thread(_create, folder, url, "cli-2@acme.example", LONG)
    assert refused.returncode != 0
    assert TOO_LONG in refused.stderr
    [made] = (await app.get(f"{USERS}?q=cli", token=await app.admin_token())).data["items"]
    assert made["department"] == "Yard"


async def _main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = migrated(f"sqlite:///{Path(folder, 'test.db')}")
        async with running(url) as app:
            number = await _by_rest(app)
            await _by_graphql(app, number)
            await _by_the_console(app, number)
            await _by_the_command_line(app, Path(folder), url)


if __name__ == "__main__":
    asyncio.run(_main())
