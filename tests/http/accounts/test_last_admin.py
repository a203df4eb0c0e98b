"""A client's last active Admin can't be removed, not even by two concurrent requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.rules import rule

CLIENT = "/api/admin/clients/globex"


@pytest.fixture
async def admin(app: App) -> str:
    return await app.admin_token()


@pytest.fixture
async def only(app: App, admin: str) -> AsyncIterator[str]:
    """The path of globex's only Admin; restores that Admin after each test."""
    path = f"{CLIENT}/users/{app.ids['admin@globex.example']}"
    yield path
    await app.post(f"{path}/restore", token=admin)
    check_success(await app.send("PUT", f"{path}/roles", {"roles": ["Admin"]}, token=admin))


async def another(app: App, admin: str, email: str, roles: list[str]) -> str:
    body = {"email": email, "roles": roles}
    return f"{CLIENT}/users/{check_success(await app.post(f'{CLIENT}/users', body, token=admin), 201)['id']}"


async def active_admins(app: App, admin: str) -> int:
    users = check_success(await app.get(f"{CLIENT}/users?first=100", token=admin))["items"]
    return sum("Admin" in user["roles"] and user["deactivatedAt"] is None for user in users)


@rule("RANK")
async def test_the_last_admin_keeps_role_and_account(app: App, admin: str, only: str) -> None:
    token = (await app.sign_in("admin@globex.example")).data["token"]
    for roles in (["Viewer"], ["User Admin", "Author"]):
        check_refusal(await app.send("PUT", f"{only}/roles", {"roles": roles}, token=admin), 409, "CONFLICT")
    check_refusal(await app.post(f"{only}/deactivate", token=admin), 409, "CONFLICT")
    assert check_success(await app.me(token))["roles"] == ["Admin"]
    more = check_success(await app.send("PUT", f"{only}/roles", {"roles": ["Admin", "Viewer"]}, token=admin))
    assert more["roles"] == ["Admin", "Viewer"]


async def test_deactivated_admins_and_other_clients_admins_do_not_count(app: App, admin: str, only: str) -> None:
    second = await another(app, admin, "asleep@globex.example", ["Admin"])
    check_success(await app.post(f"{second}/deactivate", token=admin))
    check_refusal(await app.post(f"{only}/deactivate", token=admin), 409, "CONFLICT")
    check_success(await app.post(f"{second}/restore", token=admin))
    check_success(await app.post(f"{only}/deactivate", token=admin))
    check_refusal(await app.post(f"{second}/deactivate", token=admin), 409, "CONFLICT")
    check_success(await app.post(f"{only}/restore", token=admin))
    check_success(await app.send("PUT", f"{second}/roles", {"roles": ["Viewer"]}, token=admin))


async def test_a_client_without_an_admin_can_be_given_one(app: App, admin: str) -> None:
    body = {"identifier": "no-admin", "name": "No Admin"}
    check_success(await app.post("/api/admin/clients", body, token=admin), 201)
    path = "/api/admin/clients/no-admin/users"
    made = check_success(await app.post(path, {"email": "a@b.example", "roles": ["Viewer"]}, token=admin), 201)
    check_success(await app.send("PUT", f"{path}/{made['id']}/roles", {"roles": ["Admin"]}, token=admin))
    check_refusal(await app.post(f"{path}/{made['id']}/deactivate", token=admin), 409, "CONFLICT")


@matrix("act", ["deactivate", "roles"])
async def test_one_of_two_concurrently_removed_admins_stays(app: App, admin: str, only: str, act: str) -> None:
    async def remove(path: str) -> Any:
        if act == "deactivate":
            return await app.post(f"{path}/deactivate", token=admin)
        return await app.send("PUT", f"{path}/roles", {"roles": ["Viewer"]}, token=admin)

    for round_ in range(3):
        second = await another(app, admin, f"second-{act}-{round_}@globex.example", ["Admin"])
        replies = await asyncio.gather(remove(only), remove(second))
        assert sorted(reply.status for reply in replies) == [200, 409], [reply.text for reply in replies]
        assert await active_admins(app, admin) == 1
        await app.post(f"{only}/restore", token=admin)
        await app.send("PUT", f"{only}/roles", {"roles": ["Admin"]}, token=admin)
        await app.send("PUT", f"{second}/roles", {"roles": ["Viewer"]}, token=admin)
