"""Granting the role Admin depends on the row in the transaction, and always voids the account's credentials."""

from __future__ import annotations

import itertools

import pytest

from manifest_auth.accounts import users
from manifest_auth.accounts.users import User
from manifest_auth.errors import Conflict
from manifest_auth.licence import UNCOUNTED
from manifest_auth.permissions import Role
from manifest_auth.store import Store, TenantUnit
from tests.store.conftest import Pair
from tests.support.matrix import matrix

ADMIN, USER_ADMIN, VIEWER = Role.ADMIN.bit, Role.USER_ADMIN.bit, Role.VIEWER.bit
_numbers = itertools.count(1)


async def stored_user(store: Store, pair: Pair, roles: int, *, active: bool = True) -> User:
    """A user with a password, in a client with another Admin."""

    def work(unit: TenantUnit) -> User:
        made = [
            users.create(unit, UNCOUNTED, email=f"judged-{next(_numbers)}@acme.example", first_name="", last_name="",
                         title="", roles=mask, password_hash="a hash", now=1)
            for mask in (ADMIN, roles)
        ]  # fmt: skip
        users.set_password(unit, made[1], "another hash", 2)
        if not active:
            users.deactivate(unit, users.get(unit, made[1].id), 3)
        return users.get(unit, made[1].id)

    return await store.of(pair[0]).write(work)


class Voided:
    """Records the users that it was called for."""

    def __init__(self) -> None:
        self.users: list[int] = []

    def __call__(self, unit: TenantUnit, user: User) -> None:
        assert unit.tenant_id == user.tenant_id
        assert user.password_hash == "another hash"  # unchanged
        self.users.append(user.id)


CHANGES = [
    (VIEWER, ADMIN, True, True), (VIEWER, ADMIN | VIEWER, True, True), (USER_ADMIN, USER_ADMIN | ADMIN, True, True),
    (0, ADMIN, True, True), (VIEWER, USER_ADMIN, True, False), (ADMIN, ADMIN | VIEWER, True, False),
    (ADMIN, VIEWER, True, False), (VIEWER, ADMIN, False, False), (ADMIN, ADMIN, True, False),
]  # fmt: skip


@matrix(("before", "after", "active", "gains"), CHANGES)
async def test_the_account_is_void_with_the_gain_and_with_nothing_else(
    store: Store, pair: Pair, before: int, after: int, active: bool, gains: bool
) -> None:
    user, voids = await stored_user(store, pair, before, active=active), Voided()
    await store.of(pair[0]).write(lambda unit: users.set_roles(unit, UNCOUNTED, user, after, voids, 0))
    assert voids.users == ([user.id] if gains else [])
    now = await store.of(pair[0]).read(lambda unit: users.get(unit, user.id))
    assert (now.roles, now.password_hash) == (after, None if gains else "another hash")
    former = await store.of(pair[0]).read(lambda unit: users.former_hashes(unit, now, 10))
    assert former == ([] if gains else ["another hash", "a hash"])


@matrix(("roles", "gains"), [(ADMIN, True), (ADMIN | VIEWER, True), (USER_ADMIN, False)])
async def test_an_admin_who_is_let_in_again_gains_the_role(store: Store, pair: Pair, roles: int, gains: bool) -> None:
    user, voids = await stored_user(store, pair, roles, active=False), Voided()
    after = await store.of(pair[0]).write(lambda unit: users.restore(unit, UNCOUNTED, user, voids))
    assert voids.users == ([user.id] if gains else [])
    assert (after.deactivated_at, after.password_hash is None) == (None, gains)


async def test_a_row_that_changed_in_the_meantime_is_not_written(store: Store, pair: Pair) -> None:
    """Otherwise, a user who was read as deactivated, or as an Admin already, would gain the role unnoticed."""
    tenant, voids = store.of(pair[0]), Voided()
    asleep = await stored_user(store, pair, VIEWER, active=False)
    await tenant.write(lambda unit: users.restore(unit, UNCOUNTED, asleep, voids))
    admin = await stored_user(store, pair, ADMIN)
    await tenant.write(lambda unit: users.set_roles(unit, UNCOUNTED, admin, VIEWER, voids, 0))
    for stale in (asleep, admin):
        with pytest.raises(Conflict):
            await tenant.write(lambda unit, user=stale: users.set_roles(unit, UNCOUNTED, user, ADMIN, voids, 0))  # type: ignore[misc]
        assert (await tenant.read(lambda unit, user=stale: users.get(unit, user.id))).roles == VIEWER  # type: ignore[misc]
    sleeper = await stored_user(store, pair, VIEWER, active=False)
    await tenant.write(lambda unit: users.set_roles(unit, UNCOUNTED, sleeper, ADMIN, voids, 0))
    with pytest.raises(Conflict):
        await tenant.write(lambda unit: users.restore(unit, UNCOUNTED, sleeper, voids))
    assert voids.users == []
