"""Loading what a whole list needs with one statement: the keys that resolvers ask for in one turn of the event loop are
read together. So a list of a hundred costs as many statements as a list of one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")


class Loader(Generic[K, V]):
    """A way to read many at once: ``read`` gets the keys and answers with what it found by key. What it did not find is
    ``missing``. Made once for the process; what a request loaded is kept for that request alone."""

    def __init__(self, read: Callable[[TenantUnit, Sequence[K]], dict[K, V]], missing: Any = None) -> None:
        self._read, self._missing = read, missing

    def load(self, ctx: RequestContext, key: K) -> asyncio.Future[Any]:
        """What is under the key, once the loop turns. Shielded: the executor cancels fields beside one that failed, and
        a cancelled task cancels what it waits for, while others wait for the same."""
        batches: dict[Any, _Batch] = ctx.loaded
        batch = batches.get(self)
        if batch is None:
            batch = batches[self] = _Batch(ctx, self._read, self._missing)
        return asyncio.shield(batch.load(key))


class _Batch:
    """What one request asks one loader for."""

    def __init__(self, ctx: RequestContext, read: Callable[..., dict[Any, Any]], missing: Any) -> None:
        self._ctx, self._read, self._missing = ctx, read, missing
        self._known: dict[Any, asyncio.Future[Any]] = {}
        self._wanted: list[Any] = []
        self._task: asyncio.Task[None] | None = None

    def load(self, key: Any) -> asyncio.Future[Any]:
        found = self._known.get(key)
        if found is None:
            loop = asyncio.get_running_loop()
            found = self._known[key] = loop.create_future()
            if not self._wanted:
                loop.call_soon(self._start)
            self._wanted.append(key)
        return found

    def _start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        keys, self._wanted = self._wanted, []
        try:
            found = await self._ctx.store.read(lambda unit: self._read(unit, keys))
        except BaseException as error:  # noqa: BLE001 - whoever waits for a key is told
            for key in keys:
                self._fail(key, error)
            return
        for key in keys:
            future = self._known[key]
            if not future.done():
                future.set_result(found.get(key, self._missing))

    def _fail(self, key: Any, error: BaseException) -> None:
        future = self._known[key]
        if future.done():
            return
        if isinstance(error, asyncio.CancelledError):
            future.cancel()
        else:
            future.set_exception(error)
            future.exception()  # somebody else's failure may have ended the wait for this one


#: Where a list that is numbered within its parent goes on: the parent's id, the number before the first one, how many.
Part = tuple[int, int, int]


def parts(
    read: Callable[[TenantUnit, Sequence[int], int, int], list[R]],
    parent: Callable[[R], int],
) -> Callable[[TenantUnit, Sequence[Part]], dict[Part, list[R]]]:
    """Reads parts of many parents' lists with one statement for each pair of arguments."""

    def read_parts(unit: TenantUnit, keys: Sequence[Part]) -> dict[Part, list[R]]:
        found: dict[Part, list[R]] = {}
        for after, first in {key[1:] for key in keys}:
            ids = [key[0] for key in keys if key[1:] == (after, first)]
            for row in read(unit, ids, after, first):
                found.setdefault((parent(row), after, first), []).append(row)
        return found

    return read_parts
