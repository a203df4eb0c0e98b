"""Existing SQL statements, and the number of them that the store runs."""

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
from manifest_auth.store.postgres_beat import CacheValidity
from manifest_auth.store.sqlite import SqliteConnection
from manifest_auth.store.statements import Statement
from tests.support.application import App
from tests.support.background_jobs import runs_nothing

T = TypeVar("T")
#: The tasks of the application that run its background jobs.
BACKGROUND = {"sweeping", "mail-queue", "domain-checks"}


@contextlib.contextmanager
def counted_statements() -> Iterator[list[str]]:
    """The SQL texts of all statements that units of work run inside the block, on either store. Those that find a
    session are none of them: on PostgreSQL they depend on whether this node has just heard of the others. So do those
    that read the signing keys, and whether they are still the same. Background jobs would be counted: they must be
    off."""
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
    """The SQL texts that units of work send to PostgreSQL in the meantime, each in a round trip, without BEGIN and
    COMMIT."""
    seen: list[str] = []

    def noting(run: Any, text: Callable[[Any], str]) -> Any:
        def sent(self: Any, what: Any, values: Any) -> Any:
            seen.append(text(what))
            return run(self, what, values)

        return sent

    kind = PostgresConnection
    with (
        mock.patch.object(kind, "fetch", noting(kind.fetch, lambda statement: str(statement.postgres.sql))),
        mock.patch.object(kind, "_execute", noting(kind._execute, str)),
    ):
        yield seen


@contextlib.contextmanager
def statements_of_units() -> Iterator[list[str]]:
    """The statements that units of work are asked to run in the meantime, as SQLAlchemy writes them."""
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
    """From now on, what this process remembers counts, also where a beat of PostgreSQL comes late."""
    patch.setattr(CacheValidity, "holds", lambda _: True)


def look_ups(patch: pytest.MonkeyPatch, app: App) -> list[dict[str, Any]]:
    """From now on: what is read from the store by one key, outside a unit of work."""
    seen: list[dict[str, Any]] = []
    look_up = app.services.store.look_up

    async def counting(statement: Any, **values: Any) -> Any:
        seen.append(values)
        return await look_up(statement, **values)

    patch.setattr(app.services.store, "look_up", counting)
    return seen


def module_members(kind: type[T]) -> dict[str, T]:
    """All things of a kind that modules of ours hold, also in tuples, by module and name."""
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
    """Those of the whole code base, but for lists, which make theirs when asked."""
    return module_members(Statement)
