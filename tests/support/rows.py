"""Reads and changes database rows without applying any rules: any row by table and column names, and provider rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, delete, insert, select, update

from manifest_auth import providers
from manifest_auth.accounts import one_time_links, users
from manifest_auth.errors import Conflict
from manifest_auth.licence import UNCOUNTED
from manifest_auth.providers import LinkedBy, Provider, ProviderEmail, Secrets
from manifest_auth.runtime.revisions import HEAD
from manifest_auth.runtime.sealing import CannotOpen
from manifest_auth.sign_in.providers.kinds import settings_of
from manifest_auth.store import SystemUnit, TenantUnit, cross_tenant
from manifest_auth.store.tables import metadata
from tests.support.accounts import store_of
from tests.support.application import App
from tests.support.team import Team

TABLES = tuple(metadata.tables)
#: The number of the current schema.
NEWEST_SCHEMA = HEAD
_WHY = "a test looks at the store from outside, as its thief or an older release would"


async def rows(app: App, table: str, *columns: str, **where: Any) -> list[tuple[Any, ...]]:
    """The columns of all rows with these values, in primary key order."""
    which = metadata.tables[table]
    wanted = select(*(which.c[name] for name in columns or which.c.keys()))
    found = cross_tenant(
        wanted.where(*_conditions(which, where)).order_by(*which.primary_key.columns), because=_WHY, every_kind=True
    )
    return await app.services.store.read(lambda unit: [tuple(row) for row in unit.all(found)])


async def change_rows(app: App, table: str, where: dict[str, Any], **values: Any) -> int:
    """Update the rows that match ``where``; returns their number."""
    which = metadata.tables[table]
    change = cross_tenant(update(which).where(*_conditions(which, where)).values(**values), because=_WHY)
    return await app.services.store.write(lambda unit: unit.change(change))


async def delete_rows(app: App, table: str, **where: Any) -> int:
    """Delete rows; returns their number."""
    which = metadata.tables[table]
    drop = cross_tenant(delete(which).where(*_conditions(which, where)), because=_WHY)
    return await app.services.store.write(lambda unit: unit.change(drop))


async def all_that_rests(app: App) -> list[tuple[str, Any]]:
    """Every value in the database with its column name: everything that a thief of the database has."""

    def work(unit: SystemUnit) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        for table in metadata.tables.values():
            columns = [f"{table.name}.{column.name}" for column in table.c]
            for row in unit.all(cross_tenant(select(*table.c), because=_WHY)):
                found += zip(columns, row, strict=True)
        return found

    return await app.services.store.read(work)


def _conditions(table: Table, where: dict[str, Any]) -> list[Any]:
    return [table.c[name] == value for name, value in where.items()]


async def add_row(app: App, table: str, **values: Any) -> None:
    """Insert a row unchanged."""
    add = cross_tenant(insert(metadata.tables[table]).values(**values), because=_WHY)
    await app.services.store.write(lambda unit: unit.change(add))


async def stored(app: App, client: str, name: str) -> Provider:
    """The provider's row."""
    return await (await store_of(app, client)).read(lambda unit: providers.get(unit, name))


def opened(app: App, row: Provider) -> Secrets | None:
    """The decrypted secrets of a row; None if they can't be decrypted there."""
    try:
        return providers.open_secrets(app.services.sealer, row)
    except CannotOpen:
        return None


def unsealed(app: App, sealed: bytes, name: str) -> bytes | None:
    """The value decrypted under a name; None if it can't be decrypted under that name."""
    try:
        return app.services.sealer.open(sealed, name)
    except CannotOpen:
        return None


async def add_past_the_server(app: App, name: str, like: Provider) -> bool:
    """Add a provider like ``provider add`` in a separate process; returns False if there are too many."""

    def work(unit: TenantUnit) -> Provider:
        now = app.services.clock.now_ms()
        return providers.create(
            unit, app.services.sealer, name, "P", settings_of(like), Secrets(), by_admin=True, now=now
        )

    try:
        await app.services.store.of(like.tenant_id).write(work)
    except Conflict:
        return False
    return True


async def link(team: Team, provider_id: int, subject: str, user_id: int) -> int:
    """Link a new identity to a user; returns its ID."""
    nowhere = ProviderEmail("", vouched=False)
    return await team.within(
        lambda unit: providers.link(unit, provider_id, subject, user_id, LinkedBy.CREATED, nowhere, 0, 1).id
    )


async def become_admin_past_the_server(team: Team, user_id: int, token: str) -> None:
    """Give the user the role Admin in the database, with an open link for this token, which an Admin never has."""

    def give(unit: TenantUnit) -> None:
        users.set_roles(unit, UNCOUNTED, users.get(unit, user_id, lock=True), 1, lambda unit, user: None, 0)
        found = one_time_links.find(unit, token)
        assert found is not None
        assert found.used_at is None

    await team.within(give)
