"""Lists the code's SQL statements, and counts those that a database runs."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar
from unittest import mock

import pytest

import manifest_auth
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.store.postgres import PostgresConnection
from manifest_auth.store.postgres_at_once import AtOnce
from manifest_auth.store.postgres_beat import CacheValidity
from manifest_auth.store.sqlite import SqliteConnection
from manifest_auth.store.statements import Statement
from tests.support.application import App
from tests.support.background_jobs import runs_nothing

T = TypeVar("T")
#: The application's tasks for background jobs.
BACKGROUND = {"sweeping", "mail-queue", "domain-checks"}


@contextlib.contextmanager
def counted_statements() -> Iterator[list[str]]:
    """Collect the SQL of all statements that units of work run inside the block, on either database. Leaves out those
    that load a session, because on PostgreSQL they depend on whether this node has just heard from the others, and
    those that read the signing keys or check them for changes. Background jobs must be off, or they would be
    counted."""
    seen: list[str] = []
    for task in asyncio.all_tasks():
        coroutine: Any = task.get_coro()
        assert task.get_name() not in BACKGROUND or coroutine.__name__ == runs_nothing.__name__, (
            "mark the module: still"
        )
    with contextlib.ExitStack() as patches:
        for kind in (SqliteConnection, PostgresConnection):
            for name in ("fetch", "change"):
                patches.enter_context(mock.patch.object(kind, name, _noting(getattr(kind, name), seen)))
        yield seen


def _noting(run: Any, seen: list[str]) -> Any:
    def noting(self: Any, statement: Statement[Any], values: dict[str, Any]) -> Sequence[Any] | int:
        if not any(table in statement.sqlite.sql for table in ("FROM signing_keys", "FROM installation ")):
            seen.append(statement.sqlite.sql)
        found: Sequence[Any] | int = run(self, statement, values)
        return found

    return noting


@contextlib.contextmanager
def sent_to_postgres() -> Iterator[list[str]]:
    """Collect the SQL of units of work on PostgreSQL inside the block, in round trips, without BEGIN and COMMIT."""
    seen: list[str] = []

    def noting(run: Any, text: Callable[..., str]) -> Any:
        def sent(self: Any, *what: Any) -> Any:
            seen.append(text(*what))
            return run(self, *what)

        return sent

    kind = PostgresConnection
    with (
        mock.patch.object(kind, "fetch", noting(kind.fetch, lambda statement, _: str(statement.postgres.sql))),
        mock.patch.object(kind, "_execute", noting(kind._execute, lambda sql, _: str(sql))),
        mock.patch.object(AtOnce, "statement", noting(AtOnce.statement, lambda: "a unit at once")),
    ):
        yield seen


@contextlib.contextmanager
def statements_of_units() -> Iterator[list[str]]:
    """Collect the statements of units of work inside the block, as SQLAlchemy writes them."""
    seen: list[str] = []
    with contextlib.ExitStack() as patches:
        for name in ("_first", "_all", "_change"):
            original = getattr(SystemUnit, name)

            def spy(unit: Any, statement: Any, values: Any, *, _original: Any = original) -> Any:
                seen.append(str(statement.source))
                return _original(unit, statement, values)

            for kind in (SystemUnit, TenantUnit):
                patches.enter_context(mock.patch.object(kind, name, spy))
        yield seen


def beats_are_in_time(patch: pytest.MonkeyPatch) -> None:
    """Keep this process's cached data valid, even if a PostgreSQL heartbeat is late."""
    patch.setattr(CacheValidity, "holds", lambda _: True)


def look_ups(patch: pytest.MonkeyPatch, app: App) -> list[dict[str, Any]]:
    """Collect, starting now, reads of the database by a single key outside a unit of work."""
    seen: list[dict[str, Any]] = []
    look_up = app.services.store.look_up

    async def counting(statement: Any, **values: Any) -> Any:
        seen.append(values)
        return await look_up(statement, **values)

    patch.setattr(app.services.store, "look_up", counting)
    return seen


def module_members(kind: type[T]) -> dict[str, T]:
    """All objects of a type in our modules, including those in tuples, by module and name."""
    found: dict[str, T] = {}
    for module_info in pkgutil.walk_packages(manifest_auth.__path__, "manifest_auth."):
        if ".migrations" in module_info.name or module_info.name.endswith("__main__"):
            continue
        module = importlib.import_module(module_info.name)
        for name, value in vars(module).items():
            parts = [(f"{name}[{n}]", one) for n, one in enumerate(value)] if type(value) is tuple else [(name, value)]
            for own_name, part in parts:
                if isinstance(part, kind) and not any(part is known for known in found.values()):
                    found[f"{module_info.name}.{own_name}"] = part
    return found


def every_statement() -> dict[str, Statement[Any]]:
    """All statements in the code, except those that lists build on demand."""
    return module_members(Statement)
