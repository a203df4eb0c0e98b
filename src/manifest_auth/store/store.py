"""What the domain knows of a store: units of work for writing and reading, and the key read of the hot path."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from manifest_auth.runtime.metrics import Failure, Metrics, Unit
from manifest_auth.runtime.sealing import Macs
from manifest_auth.store.statements import CrossTenant, Global, TenantScoped
from manifest_auth.store.unit import Announcement, SystemUnit, TenantUnit

T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[SystemUnit], T]


class StoreUnavailable(Exception):
    """The store cannot be reached or refuses to work. ``why``: it is too busy, or anything else."""

    def __init__(self, text: str, why: Failure = "unavailable") -> None:
        super().__init__(text)
        self.why = why


class Store(ABC):
    """A database of one of the two kinds. A unit of work is a plain function; it never awaits."""

    #: Whether changes of what was read before are announced; otherwise :meth:`version` alone tells of them.
    remembers: bool = False

    def __init__(self, metrics: Metrics | None = None, macs: Macs | None = None) -> None:
        self._metrics = metrics or Metrics()
        self.macs = macs
        self._listeners: list[Callable[[Announcement], None]] = []

    @abstractmethod
    async def open(self) -> None:
        """Connects. Raises :class:`StoreUnavailable`."""

    @abstractmethod
    async def close(self) -> None:
        """Finishes what is queued and disconnects."""

    async def write(self, work: Work[T]) -> T:
        """Runs one unit of work in a transaction and returns once it is durable.

        An exception rolls it back; a refusal that ``keeps_writes`` is committed and then raised.
        """
        return await self._timed("write", self._write, work)

    async def write_quickly(self, work: Work[T]) -> T:
        """As :meth:`write`, for a unit of a few key statements whose cost does not grow with the tenant: SQLite runs it
        on the event loop. Everything else goes through :meth:`write`."""
        return await self._timed("write", self._write_quickly, work)

    async def change_one(self, tenant_id: int, statement: TenantScoped[Any], **values: Any) -> int:
        """One statement as a unit of work of its own: rows changed, durable on return. On PostgreSQL one round trip."""
        return await self._timed("write", self._change_one, lambda unit: unit.of(tenant_id).change(statement, **values))

    async def read(self, work: Work[T]) -> T:
        """Runs one unit of work that only reads."""
        return await self._timed("read", self._read, work)

    async def look_up(self, statement: CrossTenant[R] | Global[R], **values: Any) -> R | None:
        """One key read on the shortest way: on the event loop itself with SQLite, one round trip with PostgreSQL."""
        began = time.perf_counter()
        try:
            return await self._look_up(statement, values)
        except StoreUnavailable as error:
            self._metrics.store_failed("look_up", error.why)
            raise
        finally:
            self._metrics.store_seconds["look_up"].observe(time.perf_counter() - began)

    @abstractmethod
    async def _write(self, work: Work[T]) -> T: ...

    @abstractmethod
    async def _write_quickly(self, work: Work[T]) -> T: ...

    @abstractmethod
    async def _change_one(self, work: Work[int]) -> int: ...

    @abstractmethod
    async def _read(self, work: Work[T]) -> T: ...

    @abstractmethod
    async def _look_up(self, statement: CrossTenant[R] | Global[R], values: dict[str, Any]) -> R | None: ...

    async def _timed(self, kind: Unit, run: Callable[[Work[T]], Awaitable[T]], work: Work[T]) -> T:
        """Runs a unit and observes how long it took, and how long until it began."""
        began, waited = time.perf_counter(), -1.0

        def work_and_time(unit: SystemUnit) -> T:
            nonlocal waited
            if waited < 0:  # a unit may run twice
                waited = time.perf_counter() - began
            return work(unit)

        try:
            return await run(work_and_time)
        except StoreUnavailable as error:
            self._metrics.store_failed(kind, error.why)
            raise
        finally:
            took = time.perf_counter() - began
            self._metrics.store_seconds[kind].observe(took)
            self._metrics.store_wait[kind].observe(waited if waited >= 0 else took)

    @abstractmethod
    async def ping(self) -> None:
        """Answers when the store works. Raises :class:`StoreUnavailable`."""

    def version(self) -> object | None:
        """Equal values mean that what was read before still holds, or that a change of it will be announced. None: that
        cannot be told now, so the store has to be asked."""
        return None

    def is_listening(self) -> bool:
        """Whether announcements of other nodes are known to arrive within a second."""
        return False

    def on_announcement(self, listener: Callable[[Announcement], None]) -> None:
        """Registers who is told of announcements, from this process at commit and from others on arrival."""
        self._listeners.append(listener)

    def _deliver(self, announcements: Sequence[Announcement]) -> None:
        for announcement in announcements:
            for listener in self._listeners:
                listener(announcement)

    def of(self, tenant_id: int) -> TenantStore:
        """The same store, bound to one tenant."""
        return TenantStore(self, tenant_id)


class TenantStore:
    """A store bound to one tenant: the only one that code for a tenant's request is handed."""

    __slots__ = ("_store", "tenant_id")

    def __init__(self, store: Store, tenant_id: int) -> None:
        self._store = store
        self.tenant_id = tenant_id

    async def write(self, work: Callable[[TenantUnit], T]) -> T:
        """As :meth:`Store.write`, inside the tenant."""
        tenant_id = self.tenant_id
        return await self._store.write(lambda unit: work(unit.of(tenant_id)))

    async def write_quickly(self, work: Callable[[TenantUnit], T]) -> T:
        """As :meth:`Store.write_quickly`, inside the tenant."""
        tenant_id = self.tenant_id
        return await self._store.write_quickly(lambda unit: work(unit.of(tenant_id)))

    async def change_one(self, statement: TenantScoped[Any], **values: Any) -> int:
        """As :meth:`Store.change_one`, inside the tenant."""
        return await self._store.change_one(self.tenant_id, statement, **values)

    async def read(self, work: Callable[[TenantUnit], T]) -> T:
        """As :meth:`Store.read`, inside the tenant."""
        tenant_id = self.tenant_id
        return await self._store.read(lambda unit: work(unit.of(tenant_id)))
