"""State of an upgrade: schema, releases of the processes, and a keyword for what to do."""

from __future__ import annotations

from typing import Literal, NamedTuple

from sqlalchemy import bindparam, func, select

from manifest_auth import __version__
from manifest_auth.runtime.revisions import HEAD
from manifest_auth.runtime.settings import Settings
from manifest_auth.store import global_, open_store
from manifest_auth.store.migrate import Schema, SchemaRefused, find_schema, head
from manifest_auth.store.tables import nodes

#: ``current``: nothing to do. ``rolling``: processes can be replaced by this release one by one. ``stop``: all older
#: processes must end before this release starts. ``refused``: this release doesn't start.
Word = Literal["current", "rolling", "stop", "refused"]


class Processes(NamedTuple):
    """The number of running processes of one release."""

    version: str
    schema: str
    running: int


#: Longer than a heartbeat waits for PostgreSQL. Until then, a process counts as running.
SILENT_MS = 5_000
_BY_RELEASE = (nodes.c.version, nodes.c.schema)
_LIVING = global_(
    select(*_BY_RELEASE, func.count())
    .where(nodes.c.seen_at >= bindparam("since"))
    .group_by(*_BY_RELEASE)
    .order_by(*_BY_RELEASE),
    Processes,
)


class UpgradeState(NamedTuple):
    """The state. ``told`` explains the keyword in a sentence, for the operator."""

    schema: Schema
    processes: tuple[Processes, ...]
    word: Word
    told: str


async def read(settings: Settings) -> UpgradeState | None:
    """Returns the state of the store; None if it is empty. Changes nothing. Raises StoreUnavailable."""
    schema = await find_schema(settings.database)
    if schema is None:
        return None
    try:
        schema.check("schema")
    except SchemaRefused as error:
        return UpgradeState(schema, (), "refused", str(error))
    processes = await _living(settings)
    return UpgradeState(schema, processes, *_judged(schema.number, processes))


def _judged(schema: str, processes: tuple[Processes, ...]) -> tuple[Word, str]:
    """Returns the keyword, and what it means here."""
    used = {schema, *(some.schema for some in processes)}
    if used == {HEAD} and all(some.version == __version__ for some in processes):
        return "current", f"schema: {schema}, current"
    told = f"schema: {schema}, this version {'upgrades it to' if schema < HEAD else 'uses'} {HEAD}"
    if schema < HEAD and head().readable_by > min(used):
        return "stop", (
            f"{told}: stop; older programs can't use that schema. Stop them on all nodes, then start this version"
        )
    running = (f"; {some.running} of {some.version} (schema {some.schema}) are running" for some in processes)
    return "rolling", f"{told}: rolling{''.join(running)}"


async def _living(settings: Settings) -> tuple[Processes, ...]:
    """Returns the web processes with a recent heartbeat. On SQLite, none are counted."""
    if not settings.on_postgres:
        return ()
    store = open_store(settings.database, 2)
    await store.open()
    try:
        since = (await store.server_clock() or 0) - SILENT_MS
        return await store.read(lambda unit: tuple(unit.all(_LIVING, since=since)))
    finally:
        await store.close()
