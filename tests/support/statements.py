"""How many statements the store runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

from manifest_auth.store.postgres import PostgresConnection
from manifest_auth.store.sqlite import SqliteConnection
from manifest_auth.store.statements import Statement


@contextlib.contextmanager
def counted_statements() -> Iterator[list[str]]:
    """The SQL texts of all statements that units of work run inside the block, on either store. The key read that finds
    a session is none of them."""
    seen: list[str] = []
    with contextlib.ExitStack() as patches:
        for kind in (SqliteConnection, PostgresConnection):
            for name in ("fetch", "change"):
                patches.enter_context(mock.patch.object(kind, name, _noting(getattr(kind, name), seen)))
        yield seen


def _noting(run: Any, seen: list[str]) -> Any:
    def noting(self: Any, statement: Statement[Any], values: dict[str, Any]) -> Sequence[Any] | int:
        seen.append(statement.sqlite.sql)
        found: Sequence[Any] | int = run(self, statement, values)
        return found

    return noting
