"""Commands that list and stop clients, users, and machines while a server is running."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from manifest_auth.errors import Conflict
from tests.support.application import App
from tests.support.background_jobs import soon
from tests.support.commands import in_this_process
from tests.support.machines import machine
from tests.support.people import member
from tests.support.secret_keys import SECRET_KEY
from tests.support.system_admins import events

pytestmark = pytest.mark.one_store

ACME = ("--client", "acme")
Command = Callable[..., Awaitable[str]]


@pytest.fixture
def command(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a command while the application is running; returns its output."""
    mine = {"DATABASE_URL": database_url, "SECRET_KEY": SECRET_KEY, "DATA_DIR": str(tmp_path), "LOG_LEVEL": "error"}
    for name, value in mine.items():
        monkeypatch.setenv(f"MANIFEST_{name}", value)

    async def ran(*words: str) -> str:
        await in_this_process(*words)
        return capsys.readouterr().out

    return ran


async def becomes(app: App, token: str, status: int) -> None:
    async def found() -> int:
        return (await app.get("/api/client/auth/me", token=token)).status

    await soon(found, status)


async def test_a_user_is_deactivated_restored_and_signed_out(app: App, command: Command) -> None:
    one = await member(app, "acme", "Operator")
    assert await command("user", "deactivate", one.email, *ACME) == (
        f"Deactivated {one.email}. Their sessions and links ended.\n"
    )
    await becomes(app, one.token, 401)
    listed: list[dict[str, Any]] = json.loads(await command("user", "list", *ACME, "--search", one.email, "--json"))
    assert [(each["email"], each["state"], each["roles"]) for each in listed] == [
        (one.email, "deactivated", ["Operator"])
    ]
    with pytest.raises(Conflict):
        await command("user", "deactivate", one.email, *ACME)
    assert await command("user", "restore", one.email, *ACME) == f"Restored {one.email}.\n"
    again = await app.sign_in(one.email)
    assert await command("user", "end-sessions", one.email, *ACME) == f"{one.email}: sessions ended: 1.\n"
    await becomes(app, again.data["token"], 401)
    last = [(event, actor) for event, actor, subject, _ in await events(app, 1) if subject == f"user:{one.id}"][-1]
    assert last == ("signed_out_all", "system")


async def test_a_machine_is_listed_disabled_and_loses_its_key(app: App, command: Command) -> None:
    one = await machine(app, "acme")
    await becomes(app, one.key.text, 200)
    [listed] = [
        each for each in json.loads(await command("service-account", "list", *ACME, "--json")) if each["id"] == one.id
    ]
    assert (listed["name"], listed["state"], listed["secrets"][0]["id"]) == (one.name, "active", one.key.id)
    assert one.key.text not in json.dumps(listed)
    await command("service-account", "disable", one.name, *ACME)
    await becomes(app, one.key.text, 401)
    await command("service-account", "enable", one.name, *ACME)
    await becomes(app, one.key.text, 200)
    assert (
        await command("service-account", "revoke", *ACME, "--", one.key.id) == f"Revoked {one.key.id} of client acme.\n"
    )
    await becomes(app, one.key.text, 401)


async def test_a_client_is_suspended_restored_and_signed_out(app: App, command: Command) -> None:
    one = await member(app, "acme")
    assert await command("client", "suspend", "acme") == "Suspended client acme.\n"
    await becomes(app, one.token, 401)
    states = {each["identifier"]: each["state"] for each in json.loads(await command("client", "list", "--json"))}
    assert states["acme"] == "suspended"
    await command("client", "restore", "acme")
    again = await app.sign_in(one.email)
    await becomes(app, again.data["token"], 200)
    assert await command("client", "end-sessions", "acme") == "Ended all sessions of client acme.\n"
    await becomes(app, again.data["token"], 401)
