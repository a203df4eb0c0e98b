"""What an upgrade tells while it lasts, and a store that it refuses: a row names another client's row already."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Connection, text

from manifest_auth.store import migrate, upgrade_steps
from manifest_auth.store.upgrade_steps import told_again
from tests.store import old_stores
from tests.support.secret_keys import the_keys
from tests.support.stores import schema_number

OLD = old_stores.read("0009")


def test_the_newest_step_is_told_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade_steps, "_PAUSE_S", 0.001)
    told: list[tuple[str, int, int]] = []
    often = threading.Event()

    def progress(what: str, done: int, of: int) -> None:
        told.append((what, done, of))
        if len(told) > 5:
            often.set()

    with told_again("0010", progress) as step:
        step("users", 1, 9)
        assert often.wait(30)
    assert set(told) == {("upgrading the schema to 0010: users", 1, 9)}


async def test_a_row_that_names_another_clients_row_stops_the_upgrade(empty_url: str) -> None:
    """The old schema lets it be; so does the upgrade, which says where it is."""
    await OLD.make(empty_url)

    def cross(connection: Connection) -> None:
        connection.execute(text("UPDATE invitations SET tenant_id = 3 - tenant_id"))

    await old_stores.within(empty_url, cross)
    with pytest.raises(migrate.SchemaRefused, match=r"a row names what its client does not have: .*(invitations|user)"):
        await migrate.upgrade(empty_url, the_keys)
    assert await schema_number(empty_url) == "0009"
    await old_stores.within(empty_url, cross)


async def test_a_value_of_another_type_stops_the_upgrade(empty_url: str) -> None:
    """As someone may have written by hand into a column of SQLite; columns of PostgreSQL have types."""
    if not empty_url.startswith("sqlite"):
        return
    await OLD.make(empty_url)

    def write(connection: Connection, value: str) -> None:
        connection.execute(text("UPDATE audit_events SET detail = " + value))

    await old_stores.within(empty_url, lambda connection: write(connection, "x'ff00'"))
    with pytest.raises(migrate.SchemaRefused, match=r"a row of audit_events: cannot store BLOB value in TEXT column"):
        await migrate.upgrade(empty_url, the_keys)
    assert await schema_number(empty_url) == "0009"
    await old_stores.within(empty_url, lambda connection: write(connection, "'{}'"))


async def test_an_upgrade_tells_its_tables(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same store, in which each row names its own client again."""
    monkeypatch.setattr(upgrade_steps, "_PAUSE_S", 0.0005)
    told: list[tuple[str, int, int]] = []
    assert await migrate.upgrade(empty_url, the_keys, lambda *step: told.append(step)) is True
    assert told
    assert all(what.startswith(f"upgrading the schema to {migrate.HEAD}: ") and done < of for what, done, of in told)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
