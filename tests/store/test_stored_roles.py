"""Stored roles keep their meaning, because the bits are fixed numbers, as databases of earlier releases show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from manifest_auth.permissions import Role, permission_names, role_names
from tests.store import old_stores
from tests.support.application import App, running
from tests.support.envelope import check_success
from tests.support.matrix import matrix
from tests.support.postgres import Databases
from tests.support.rules import rule
from tests.support.system_admins import Phone, sign_in

pytestmark = pytest.mark.one_store

#: The numbers in existing databases. A new role takes the next number; numbers are never reused.
BITS = {
    "Admin": 1,
    "User Admin": 2,
    "Author": 4,
    "Approver": 8,
    "Publisher": 16,
    "Operator": 32,
    "Viewer": 64,
}
READING = ["users:read", "templates:read", "jobs:read"]
#: The permissions of each role besides reading.
MORE = {
    "Admin": {"users:manage", "settings:manage", "audit:read", "templates:edit", "templates:approve",
              "templates:publish", "jobs:execute"},
    "User Admin": {"users:manage", "settings:manage", "audit:read"},
    "Author": {"templates:edit"},
    "Approver": {"templates:approve"},
    "Publisher": {"templates:publish"},
    "Operator": {"jobs:execute"},
    "Viewer": set(),
}  # fmt: skip


@rule("RANK")
def test_the_numbers_that_are_stored_for_roles_are_these() -> None:
    assert {role.value: role.bit for role in Role} == BITS


@matrix("name", BITS)
def test_a_stored_number_gives_this_role_and_these_permissions(name: str) -> None:
    assert role_names(BITS[name]) == (name,)
    assert set(permission_names(BITS[name])) == {*READING, *MORE[name]}


def test_numbers_that_are_added_up_are_several_roles() -> None:
    assert role_names(2 + 16 + 64) == ("User Admin", "Publisher", "Viewer")
    assert role_names(127) == tuple(BITS)
    assert role_names(0) == ()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A separate database for each old store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    server: Databases = request.getfixturevalue("postgres")
    return server.empty_database()


async def _admin_token(app: App, keys: dict[str, Any]) -> str:
    """The token of an old database's system admin, who can have a second factor."""
    secret = keys.get("root", {}).get("secret")
    phone = Phone(app, secret) if secret else None
    return str(check_success(await sign_in(app, "root", otp=phone.code(1) if phone else None))["token"])


@pytest.mark.parametrize("name", old_stores.STORES)
async def test_people_of_an_old_store_have_the_roles_that_they_had(empty_url: str, name: str) -> None:
    """Compares what the upgraded server reports; the old database contains only numbers."""
    old = old_stores.read(name)
    await old.make(empty_url)
    clients = {row["id"]: row["identifier"] for row in old.named("tenants")}
    expected = {
        (clients[row["tenant_id"]], row["email"]): [role for role, bit in BITS.items() if row["roles"] & bit]
        for row in old.named("users")
        if row.get("kind", "person") == "person"
    }
    assert {"Admin", "Author", "Operator"} <= {role for roles in expected.values() for role in roles}
    async with running(empty_url) as app:
        token = await _admin_token(app, old.keys)
        found: dict[tuple[str, str], list[str]] = {}
        for client in clients.values():
            listed = await app.get(f"/api/admin/clients/{client}/users?first=100", token=token)
            found |= {(client, user["email"]): user["roles"] for user in listed.data["items"]}
    assert found == expected
