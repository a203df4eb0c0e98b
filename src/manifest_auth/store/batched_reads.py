"""Key reads that many ask for at the same time go to the store as one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from manifest_auth.store.listing import texts
from manifest_auth.store.statements import CrossTenant
from manifest_auth.store.store import Store

R = TypeVar("R")


class LookUps(Generic[R]):
    """Look-ups of rows by a text, those of one turn of the event loop in one statement: on PostgreSQL one round trip
    and one connection for all of them.

    ``statement``: of the rows whose key is among its parameter ``keys``, see :func:`.listing.among`. It runs after all
    who share it have asked, so each sees whatever was committed until then, as with a statement of its own.
    """

    def __init__(self, store: Store, statement: CrossTenant[R], key_of: Callable[[R], str]) -> None:
        self._store, self._statement, self._key_of = store, statement, key_of
        self._waiting: list[tuple[str, asyncio.Future[R | None]]] = []
        self._running: set[asyncio.Task[None]] = set()

    def look_up(self, key: str) -> asyncio.Future[R | None]:
        """To be awaited: the row of this key, or None. Raises StoreUnavailable."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            running = loop.create_task(self._run())
            self._running.add(running)
            running.add_done_callback(self._running.discard)
        found: asyncio.Future[R | None] = loop.create_future()
        self._waiting.append((key, found))
        return found

    async def _run(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            rows = await self._store.look_up_all(self._statement, keys=texts(key for key, _ in waiting))
        except Exception as error:  # noqa: BLE001 - passed to the waiting callers
            for _, found in waiting:
                if not found.done():
                    found.set_exception(error)
            return
        by_key = {self._key_of(row): row for row in rows}
        for key, found in waiting:
            if not found.done():  # its caller has not given up
                found.set_result(by_key.get(key))
