"""Rank is checked against the roles in the transaction, because those of the request can be outdated."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from manifest_auth import accounts
from manifest_auth.accounts import Draft, rank, users
from manifest_auth.context import SYSTEM, AdminCaller
from manifest_auth.errors import Forbidden
from manifest_auth.licence import UNCOUNTED
from manifest_auth.permissions import Role
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from tests.support.accounts import act_on, new_client, new_user
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.people import set_roles
from tests.support.roles import principal
from tests.support.rules import rule

VIEWER = Role.VIEWER.bit
#: Every operation, applied to the user with this ID.
OPERATIONS: dict[str, Callable[[TenantUnit, RequestContext, int], Any]] = {
    "add": lambda unit, ctx, _: accounts.add(unit, ctx, Draft("new@engines.example", VIEWER)),
    "change": lambda unit, ctx, user: accounts.change(unit, ctx, user, {"title": "x"}),
    "set_roles": lambda unit, ctx, user: accounts.set_roles(unit, ctx, user, VIEWER),
    "deactivate": lambda unit, ctx, user: accounts.deactivate(unit, ctx, user),
    "restore": lambda unit, ctx, user: accounts.restore(unit, ctx, user),
    "end_sessions": lambda unit, ctx, user: accounts.end_sessions(unit, ctx, user),
    "invite": lambda unit, ctx, user: accounts.invite(unit, ctx, user),
    "start_reset": lambda unit, ctx, user: accounts.start_reset(unit, ctx, user),
    "managed": lambda unit, ctx, user: accounts.get_managed(unit, ctx, user),
}


def request_of(app: App, tenant_id: int, user_id: int, *roles: Role) -> RequestContext:
    """A request that arrived while its user had these roles."""
    mask = sum(role.bit for role in roles)
    caller = principal(tenant_id=tenant_id, user_id=user_id, held_roles=mask)
    return RequestContext(app.services, "r", "192.0.2.1", "", caller)


@pytest.fixture(scope="module")
async def ids(app: App) -> dict[str, int]:
    """A client with a user of each kind, by ID."""
    client = await new_client(app)
    tenant = (await app.get(f"/api/admin/clients/{client}", token=await app.admin_token())).data["id"]
    people = {
        name: (await new_user(app, client, roles=roles))[0]
        for name, roles in {
            "admin": ["Admin"],
            "former_admin": ["Admin", "Viewer"],
            "was_clerk": ["User Admin"],
            "asleep": ["Admin"],
            "victim": ["Viewer"],
        }.items()
    }
    await set_roles(app, client, people["former_admin"], "User Admin")
    await set_roles(app, client, people["was_clerk"], "Viewer")
    await act_on(app, f"{client}/users/{people['asleep']}/deactivate")
    return {"tenant": tenant, **people}


@matrix("operation", OPERATIONS)
@matrix("who", ["was_clerk", "asleep"])
async def test_a_user_who_lost_the_permission_cannot_manage_anyone(
    app: App, ids: dict[str, int], operation: str, who: str
) -> None:
    ctx = request_of(app, ids["tenant"], ids[who], Role.ADMIN)
    with pytest.raises(Forbidden):
        await app.services.store.of(ids["tenant"]).write(lambda unit: OPERATIONS[operation](unit, ctx, ids["victim"]))


@rule("RANK")
@matrix("operation", [operation for operation in OPERATIONS if operation != "add"])
async def test_a_former_admin_cannot_change_admins(app: App, ids: dict[str, int], operation: str) -> None:
    ctx = request_of(app, ids["tenant"], ids["former_admin"], Role.ADMIN)
    with pytest.raises(Forbidden, match="Admin's account"):
        await app.services.store.of(ids["tenant"]).write(lambda unit: OPERATIONS[operation](unit, ctx, ids["admin"]))


@rule("DEVICE-ROLES")
async def test_a_managers_role_cap_applies_when_rank_is_read_again(app: App, ids: dict[str, int]) -> None:
    ctx, store = request_of(app, ids["tenant"], ids["admin"], Role.ADMIN), app.services.store.of(ids["tenant"])
    assert (await store.read(lambda unit: rank.manager(unit, ctx))).is_admin
    ctx.caller = ctx.user._replace(role_cap=VIEWER | Role.OPERATOR.bit)
    with pytest.raises(Forbidden):
        await store.read(lambda unit: rank.manager(unit, ctx))
    ctx.caller = ctx.user._replace(role_cap=Role.USER_ADMIN.bit)
    with pytest.raises(Forbidden):
        await store.read(lambda unit: rank.manager(unit, ctx))


async def test_a_former_admin_cannot_create_admins(app: App, ids: dict[str, int]) -> None:
    ctx, store = request_of(app, ids["tenant"], ids["former_admin"], Role.ADMIN), app.services.store.of(ids["tenant"])
    draft = Draft("boss-2@engines.example", Role.ADMIN.bit)
    with pytest.raises(Forbidden, match="Admin role"):
        await store.write(lambda unit: accounts.add(unit, ctx, draft))
    with pytest.raises(Forbidden, match="Admin role"):
        await store.write(lambda unit: accounts.set_roles(unit, ctx, ids["victim"], Role.ADMIN.bit))
    assert await store.read(lambda unit: users.find_by_email(unit, draft.email)) is None


async def test_only_an_admin_grants_or_removes_the_admin_role(app: App, ids: dict[str, int]) -> None:
    ctx, store = request_of(app, ids["tenant"], ids["former_admin"], Role.ADMIN), app.services.store.of(ids["tenant"])
    admin = Role.ADMIN.bit
    for before, after in ((0, admin), (admin, 0), (admin | VIEWER, VIEWER), (VIEWER, admin | VIEWER)):
        with pytest.raises(Forbidden, match="Admin role"):
            await store.read(lambda unit: rank.check_grants(unit, ctx, before, after))  # noqa: B023 - awaited at once
    for before, after in ((admin, admin), (admin, admin | VIEWER), (VIEWER, 0)):  # the role itself doesn't change
        await store.read(lambda unit: rank.check_grants(unit, ctx, before, after))  # noqa: B023 - awaited at once


async def test_system_admins_and_the_command_line_outrank_everyone(app: App, ids: dict[str, int]) -> None:
    store = app.services.store.of(ids["tenant"])
    root = AdminCaller("s", 1, "root", proved_at=app.clock.now_ms())
    services = dataclasses.replace(app.services, seats=UNCOUNTED)
    admin = RequestContext(services, "r", "192.0.2.1", "", root)
    line = RequestContext(services, "command-line", "", "", SYSTEM)
    for number, who in enumerate((admin, line)):
        draft = Draft(f"made-{number}@engines.example", Role.ADMIN.bit)
        made = await store.write(
            lambda unit: accounts.add(unit, who, draft)  # noqa: B023 - awaited at once
        )
        assert made.roles == Role.ADMIN.bit
    assert (await store.write(lambda unit: accounts.get_managed(unit, line, ids["admin"]))).id == ids["admin"]
