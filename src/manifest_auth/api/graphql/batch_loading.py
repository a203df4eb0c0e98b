"""Batch loading (the DataLoader pattern) for resolvers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")


class Loader(Generic[K, V]):
    """Loads rows by key. One statement reads all rows that resolvers request in one turn of the event loop.

    ``read`` gets the keys and returns the rows by key. ``missing`` is the value for keys without a row. One loader
    serves the whole process, but rows are cached only for one request.
    """

    def __init__(self, read: Callable[[TenantUnit, Sequence[K]], dict[K, V]], missing: Any = None) -> None:
        self._read, self._missing = read, missing

    def load(self, ctx: RequestContext, key: K) -> asyncio.Future[Any]:
        """Returns the value of the key after the next turn of the event loop. It is shielded: if a field fails, the
        executor cancels its siblings, and a canceled task would cancel a future that others are waiting for."""
        batches: dict[Any, _Batch] = ctx.loaded
        batch = batches.get(self)
        if batch is None:
            batch = batches[self] = _Batch(ctx, self._read, self._missing)
        shielded = asyncio.shield(batch.load(key))
        shielded.add_done_callback(_mark_as_read)
        return shielded


def loaded(loader: Loader[Any, Any], member: str) -> Callable[[Any, Any], Awaitable[Any]]:
    """Returns a resolver that looks up a member of the source with the loader."""

    async def resolve(source: Any, info: Any) -> Any:
        return await loader.load(info.context, getattr(source, member))

    return resolve


class _Batch:
    """The keys that one request loads with one loader."""

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
        except BaseException as error:  # noqa: BLE001 - all waiting fields get the error
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
            _mark_as_read(future)


def _mark_as_read(future: asyncio.Future[Any]) -> None:
    """Marks the error as read. The waiting field might already be canceled, so nobody else would read it."""
    if not future.cancelled():
        future.exception()


#: Part of a list that is numbered within its parent: the parent's ID, the number before the first item, and the count.
Part = tuple[int, int, int]


def parts(
    read: Callable[[TenantUnit, Sequence[int], int, int], list[R]], parent: Callable[[R], int]
) -> Callable[[TenantUnit, Sequence[Part]], dict[Part, list[R]]]:
    """Creates the ``read`` function of a loader for parts of many parents' lists. It runs one statement for each pair
    of arguments."""

    def read_parts(unit: TenantUnit, keys: Sequence[Part]) -> dict[Part, list[R]]:
        return grouped(
            ((parent(row), after, first), row)
            for after, first in {key[1:] for key in keys}
            for row in read(unit, [key[0] for key in keys if key[1:] == (after, first)], after, first)
        )

    return read_parts


def grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    """The values by key, in their original order."""
    found: dict[K, list[V]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return found
