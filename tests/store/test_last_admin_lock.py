"""If two transactions would each remove one of the last two Admins, the second waits, and is then rejected."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from sqlalchemy.util.concurrency import await_only

from manifest_auth.accounts import users
from manifest_auth.accounts.credential_voiding import no_gain
from manifest_auth.accounts.users import User
from manifest_auth.errors import Conflict
from manifest_auth.licence import UNCOUNTED
from manifest_auth.permissions import Role
from manifest_auth.store import Store, TenantUnit
from tests.store.conftest import Pair
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.stores import on_postgres

VIEWER = Role.VIEWER.bit
Look = Callable[[TenantUnit, User], object]


def _asked_for(unit: TenantUnit, user: User) -> object:
    return users.get(unit, user.id, lock=True, admins=True)


def _roles_set(unit: TenantUnit, user: User) -> object:
    return users.set_roles(unit, UNCOUNTED, user, VIEWER, no_gain, 0)


def _deactivated(unit: TenantUnit, user: User) -> object:
    return users.deactivate(unit, user, 2)


#: Every operation that checks for the last Admin, each on its own; the changes are rejected.
LOOKS: tuple[Look, ...] = (_asked_for, users.is_last_admin, _roles_set, _deactivated)
CHANGES = (_roles_set, _deactivated)


async def _two(store: Store, tenant_id: int) -> list[User]:
    def create(unit: TenantUnit, name: str) -> User:
        return users.create(
            unit, UNCOUNTED, email=f"{name}@acme.example", first_name=name, last_name="T", title="",
            roles=Role.ADMIN.bit, password_hash=None, now=1,
        )  # fmt: skip

    return [await store.of(tenant_id).write(lambda unit, n=n: create(unit, n)) for n in "ab"]  # type: ignore[misc]


def _waits(store: Store, passed: threading.Event) -> bool:
    """Whether nobody gets past ``passed`` for half a second."""
    if on_postgres(store):
        await_only(asyncio.sleep(0.5))
    else:  # each SQLite unit has its own thread
        passed.wait(0.5)
    return not passed.is_set()


@rule("RANK")
@matrix("look", LOOKS, ids=lambda look: look.__name__.strip("_"))
async def test_who_comes_second_waits_and_sees_what_the_first_did(store: Store, pair: Pair, look: Look) -> None:
    first, second = await _two(store, pair[0])
    tenant, holds, passed = store.of(pair[0]), threading.Event(), threading.Event()

    def removes(unit: TenantUnit) -> None:
        assert not users.is_last_admin(unit, first)
        holds.set()
        assert _waits(store, passed)
        users.set_roles(unit, UNCOUNTED, first, VIEWER, no_gain, 0)

    def follows(unit: TenantUnit) -> bool:
        try:
            look(unit, second)
        except Conflict:
            return look in CHANGES
        finally:
            passed.set()
        return look not in CHANGES and users.is_last_admin(unit, second)

    one = asyncio.create_task(tenant.write(removes))
    assert await asyncio.to_thread(holds.wait, 10)
    assert await asyncio.wait_for(tenant.write(follows), 20) is True
    await one


async def test_who_locks_the_admins_waits_for_the_transaction_that_locked_one_of_them(store: Store, pair: Pair) -> None:
    """Otherwise, two transactions that each lock their own Admin could deadlock."""
    first, second = await _two(store, pair[0])
    tenant, holds, passed = store.of(pair[0]), threading.Event(), threading.Event()

    def holds_one(unit: TenantUnit) -> None:
        users.get(unit, first.id, lock=True)
        holds.set()
        assert _waits(store, passed)

    def asks(unit: TenantUnit) -> None:
        _asked_for(unit, second)
        passed.set()

    one = asyncio.create_task(tenant.write(holds_one))
    assert await asyncio.to_thread(holds.wait, 10)
    await asyncio.wait_for(tenant.write(asks), 20)
    await one


async def test_admins_are_counted_in_their_own_client_and_only_while_active(store: Store, pair: Pair) -> None:
    first, second = await _two(store, pair[0])
    await _two(store, pair[1])

    def work(unit: TenantUnit) -> list[bool]:
        found = [users.is_last_admin(unit, first)]
        users.deactivate(unit, second, 2)
        return [*found, users.is_last_admin(unit, first)]

    assert await store.of(pair[0]).write(work) == [False, True]
