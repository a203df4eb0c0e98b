"""Interface of a database: units of work for writes and reads, and key reads for the hot path."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from manifest_auth.runtime import tracing
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.logs import FilteringBoundLogger, Outages
from manifest_auth.runtime.metrics import Failure, Metrics, Unit
from manifest_auth.runtime.sealing import Macs
from manifest_auth.store.statements import CrossTenant, Global, TenantScoped
from manifest_auth.store.unit import Announcement, SystemUnit, TenantUnit

T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[SystemUnit], T]
_AGREE_MS = 1000  # a smaller difference counts as none, since a query and its response take a few milliseconds


class StoreUnavailable(Exception):
    """The database cannot be reached or does not work. ``why``: ``busy``, or ``unavailable`` for anything else."""

    def __init__(self, text: str, why: Failure = "unavailable") -> None:
        super().__init__(text)
        self.why = why


class Store(ABC):
    """A database, SQLite or PostgreSQL. A unit of work is a plain function; it never awaits."""

    def __init__(self, metrics: Metrics | None = None, macs: Macs | None = None) -> None:
        self._metrics = metrics or Metrics()
        self._outages = Outages("store")
        self.macs = macs
        #: The activity of this process, as other nodes see it: ``serving``, ``draining``.
        self.state = "serving"
        self._listeners: list[Callable[[Announcement], None]] = []

    @abstractmethod
    async def open(self) -> None:
        """Connects. Raises :class:`StoreUnavailable`."""

    @abstractmethod
    async def close(self) -> None:
        """Finishes the queue and disconnects."""

    async def write(self, work: Work[T]) -> T:
        """Runs one unit of work in a transaction and returns once it is durable.

        An exception rolls it back; a refusal that ``keeps_writes`` is committed and then raised.
        """
        return await self._timed("write", self._write, work)

    async def write_quickly(self, work: Work[T]) -> T:
        """Runs one unit like :meth:`write`, for a few key statements whose cost doesn't grow with the tenant: SQLite
        runs them on the event loop. All other work uses :meth:`write`."""
        return await self._timed("write", self._write_quickly, work)

    async def write_at_once(self, tenant_id: int, work: Work[T]) -> T:
        """Runs one unit of a tenant like :meth:`write_quickly`. On PostgreSQL this is one round trip if the unit locks
        only rows that earlier ones expected (:meth:`.unit.TenantUnit.expect`), makes all its changes later, and the
        locked rows are as expected. The changes must find their rows by keys that never change, since they see the
        database as it was before the locks."""
        return await self._timed("write", partial(self._write_at_once, tenant_id), work)

    @tracing.spanned("store.write")
    async def change_one(self, tenant_id: int, statement: TenantScoped[Any], **values: Any) -> int:
        """Runs one statement as its own unit of work. Returns the number of changed rows, durable on return. On
        PostgreSQL, changes that arrive during another one share the next round trip and its transaction."""
        began = time.perf_counter()
        try:
            changed = await self._change_one(tenant_id, statement, values)
        except StoreUnavailable as error:
            self._failed("write", error)
            raise
        finally:
            self._metrics.store_seconds["write"].observe(time.perf_counter() - began)
        self._worked(has_written=changed > 0)
        return changed

    async def read(self, work: Work[T]) -> T:
        """Runs one unit of work that only reads."""
        return await self._timed("read", self._read, work)

    async def look_up(self, statement: CrossTenant[R] | Global[R], **values: Any) -> R | None:
        """Runs one key read without a transaction: on the event loop with SQLite, one round trip with PostgreSQL."""
        rows = await self.look_up_all(statement, **values)
        return rows[0] if rows else None

    @tracing.spanned("store.look_up")
    async def look_up_all(self, statement: CrossTenant[R] | Global[R], **values: Any) -> list[R]:
        """Runs one key read like :meth:`look_up`, and returns all rows of a few keys."""
        began = time.perf_counter()
        try:
            rows = await self._look_up(statement, values)
        except StoreUnavailable as error:
            self._failed("look_up", error)
            raise
        finally:
            self._metrics.store_seconds["look_up"].observe(time.perf_counter() - began)
        self._worked(has_written=False)
        return rows

    @abstractmethod
    async def _write(self, work: Work[T]) -> T: ...

    @abstractmethod
    async def _write_quickly(self, work: Work[T]) -> T: ...

    async def _write_at_once(self, tenant_id: int, work: Work[T]) -> T:
        return await self._write_quickly(work)

    @abstractmethod
    async def _change_one(self, tenant_id: int, statement: TenantScoped[Any], values: dict[str, Any]) -> int: ...

    @abstractmethod
    async def _read(self, work: Work[T]) -> T: ...

    @abstractmethod
    async def _look_up(self, statement: CrossTenant[R] | Global[R], values: dict[str, Any]) -> list[R]: ...

    async def _timed(self, kind: Unit, run: Callable[[Work[T]], Awaitable[T]], work: Work[T]) -> T:
        """Runs a unit and measures how long it took, and how long it waited to start."""
        began, waited, attempts = time.perf_counter(), -1.0, 0
        last: SystemUnit | None = None

        def work_and_time(unit: SystemUnit) -> T:
            nonlocal waited, last, attempts
            if waited < 0:  # a unit can run twice
                waited = time.perf_counter() - began
            last, attempts = unit, attempts + 1
            return work(unit) if recorded is None else recorded.run(work, unit)

        with tracing.span(f"store.{kind}") as recorded:
            try:
                done = await run(work_and_time)
                if last is not None:
                    last.committed()
                    self._worked(has_written=last.has_written)
                return done
            except Exception as error:
                if last is not None and getattr(error, "keeps_writes", False):
                    last.committed()
                if isinstance(error, StoreUnavailable):
                    self._failed(kind, error)
                raise
            finally:
                took = time.perf_counter() - began
                waited = waited if waited >= 0 else took
                self._metrics.store_seconds[kind].observe(took)
                self._metrics.store_wait[kind].observe(waited)
                tracing.note("manifest.waited_ms", round(waited * 1000, 3))
                tracing.note("manifest.attempts", attempts)

    def _failed(self, kind: Unit, error: StoreUnavailable) -> None:
        self._metrics.store_failed(kind, error.why)
        if error.why != "busy":
            self._outages.failed("write" if kind == "write" else "read", str(error))

    def _worked(self, *, has_written: bool) -> None:
        """Records success. An operation that changed nothing does not show that the database can be written."""
        if self._outages.failing:
            self._outages.worked(*(("read", "write") if has_written else ("read",)))

    async def ping(self) -> None:
        """Checks that the database responds. Raises :class:`StoreUnavailable`."""
        try:
            await self._ping()
        except StoreUnavailable as error:
            self._outages.failed("read", str(error))
            raise
        self._worked(has_written=False)

    @property
    def takes_no_writes(self) -> bool:
        """Whether the last write that changed something failed for a reason other than concurrent work."""
        return "write" in self._outages.failing

    @abstractmethod
    async def _ping(self) -> None: ...

    def version(self) -> object | None:
        """Returns a version: equal values mean that earlier reads are still current, or that a change will be
        announced. None means unknown, so the database must be read."""
        return None

    @property
    def is_gone(self) -> bool:
        """Whether the database gets no queries, because the last login failed. Everything that needs it is rejected
        immediately."""
        return False

    async def join(self, direct_url: str, log: FilteringBoundLogger, *, wakes: bool = True) -> None:
        """Makes an open store part of a serving process, which can cache what it reads. On PostgreSQL the beat begins
        (:mod:`.postgres_beat`). ``direct_url``: the database without a pooler; ``log``: receives outages."""
        self._outages.log = log

    async def server_clock(self) -> int | None:
        """Returns the time of PostgreSQL's server, in milliseconds since 1970; None on SQLite. Raises
        StoreUnavailable."""
        return None

    async def now_ms(self, clock: Clock) -> int:
        """Returns the current time by the database's clock, which decides whether rows are old enough to delete,
        because a node with a wrong clock must not delete rows that others use. ``clock``: the process's own, which
        SQLite uses. Milliseconds since 1970 UTC. Raises StoreUnavailable."""
        own, server = clock.now_ms(), await self.server_clock()
        behind = 0 if server is None else server - Clock().now_ms()  # clocks in tests stand still
        return own + behind if abs(behind) > _AGREE_MS else own

    async def sweep_announcements(self) -> int:
        """Deletes announcements that all nodes read long ago, and the rows of killed nodes. Returns the number of
        announcements."""
        return 0

    def on_announcement(self, listener: Callable[[Announcement], None]) -> None:
        """Registers a listener for announcements: of this process at commit, and of others on arrival."""
        self._listeners.append(listener)

    def _deliver(self, announcements: Iterable[Announcement]) -> None:
        for announcement in announcements:
            for listener in self._listeners:
                listener(announcement)

    def of(self, tenant_id: int) -> TenantStore:
        """Returns the same store, bound to one tenant."""
        return TenantStore(self, tenant_id)


class TenantStore:
    """A store bound to one tenant. Code for a tenant's request gets no other one."""

    __slots__ = ("_store", "tenant_id")

    def __init__(self, store: Store, tenant_id: int) -> None:
        self._store = store
        self.tenant_id = tenant_id

    async def write(self, work: Callable[[TenantUnit], T]) -> T:
        """Runs :meth:`Store.write` inside the tenant."""
        tenant_id = self.tenant_id
        return await self._store.write(lambda unit: work(unit.of(tenant_id)))

    async def write_quickly(self, work: Callable[[TenantUnit], T]) -> T:
        """Runs :meth:`Store.write_quickly` inside the tenant."""
        tenant_id = self.tenant_id
        return await self._store.write_quickly(lambda unit: work(unit.of(tenant_id)))

    async def change_one(self, statement: TenantScoped[Any], **values: Any) -> int:
        """Runs :meth:`Store.change_one` inside the tenant."""
        return await self._store.change_one(self.tenant_id, statement, **values)

    async def read(self, work: Callable[[TenantUnit], T]) -> T:
        """Runs :meth:`Store.read` inside the tenant."""
        tenant_id = self.tenant_id
        return await self._store.read(lambda unit: work(unit.of(tenant_id)))
