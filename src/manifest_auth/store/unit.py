"""Units of work, with which plain functions run statements, the same for both databases.

A store (:mod:`.sqlite`, :mod:`.postgres`) creates a unit for one transaction. ``SystemUnit`` belongs to no tenant and
runs global and cross-tenant statements. ``SystemUnit.of(tenant_id)`` is the only way to a ``TenantUnit``, which runs
tenant-scoped and global ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from manifest_auth.runtime.metrics import Announced
from manifest_auth.runtime.sealing import Macs
from manifest_auth.store.statements import TENANT, CrossTenant, Global, Statement, TenantScoped, UnscopedStatement

R = TypeVar("R")


class Announcement(NamedTuple):
    """A message to every node to drop something from its caches. ``kind``: one of :data:`.metrics.Announced`; ``key``:
    the session, user or tenant, or the part of the installation."""

    kind: str
    key: str


#: Announcements might have been missed, so the whole cache is dropped.
RESET = Announcement("all", "")

Rows = Sequence[tuple[Any, ...]]
Expectation = tuple[Statement[Any], dict[str, Any], Rows]


class SecretKeyMissing(Exception):
    """A write needs the secret key, and the store was opened without it. A programming error."""


class Connection(ABC):
    """One open transaction of a store."""

    @abstractmethod
    def fetch(self, statement: Statement[Any], values: dict[str, Any]) -> Sequence[Any]:
        """Returns all rows."""

    @abstractmethod
    def change(self, statement: Statement[Any], values: dict[str, Any]) -> int:
        """Returns the number of rows changed."""

    def change_later(self, statement: Statement[Any], values: dict[str, Any]) -> None:
        """Makes a change like :meth:`change`, at the latest before the commit and before the next statement that could
        notice."""
        self.change(statement, values)

    def __init__(self, macs: Macs | None) -> None:
        #: Announcements to deliver after the commit, to this process and every other node, with their tenant; 0 is the
        #: installation.
        self.announced: dict[Announcement, int] = {}
        #: Calls that this process makes after the commit, on the event loop.
        self.after_commit: list[Callable[[], object]] = []
        #: What a later unit will most likely read, see :meth:`_Unit.expect`.
        self.expects: list[Expectation] = []
        #: Whether rows were changed.
        self.has_written = False
        self.macs = macs


class _Unit:
    __slots__ = ("_connection",)
    tenant_id = 0

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _values(self, statement: Statement[Any], values: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def _all(self, statement: Statement[R], values: dict[str, Any]) -> list[R]:
        rows = self._connection.fetch(statement, self._values(statement, values))
        return [statement.make(row) for row in rows]

    def _first(self, statement: Statement[R], values: dict[str, Any]) -> R | None:
        rows = self._connection.fetch(statement, self._values(statement, values))
        return statement.make(rows[0]) if rows else None

    def _one(self, statement: Statement[R], values: dict[str, Any]) -> R:
        [row] = self._all(statement, values)
        return row

    def _change(self, statement: Statement[Any], values: dict[str, Any]) -> int:
        changed = self._connection.change(statement, self._values(statement, values))
        if changed:
            self._connection.has_written = True
        return changed

    def _change_later(self, statement: Statement[Any], values: dict[str, Any]) -> None:
        self._connection.change_later(statement, self._values(statement, values))
        self._connection.has_written = True

    @property
    def has_written(self) -> bool:
        """Whether this transaction changed rows."""
        return self._connection.has_written

    @property
    def macs(self) -> Macs:
        """The MACs that the store was opened with. Raises SecretKeyMissing."""
        if self._connection.macs is None:
            raise SecretKeyMissing("this store was opened without the secret key")
        return self._connection.macs

    def announce(self, kind: Announced, key: object) -> None:
        """Announces a change, see :class:`Announcement`."""
        self._connection.announced[Announcement(kind, str(key))] = self.tenant_id

    def expect(self, statement: TenantScoped[Any] | Global[Any], *rows: tuple[Any, ...], **values: Any) -> None:
        """Says that the statement, which locks rows, will most likely return these rows to the next unit that runs it
        (:meth:`.store.Store.write_at_once`)."""
        self._connection.expects.append((statement, self._values(statement, values), rows))

    def after_commit(self, call: Callable[[], object]) -> None:
        """Calls it on the event loop once this transaction is durable, and never if it is rolled back.

        If the process dies in between, it is not called.
        """
        self._connection.after_commit.append(call)

    def committed(self) -> None:
        """Records, for the store, that the transaction is durable."""
        for call in self._connection.after_commit:
            call()


class TenantUnit(_Unit):
    """One transaction inside one tenant."""

    __slots__ = ("tenant_id",)

    def __init__(self, connection: Connection, tenant_id: int) -> None:
        super().__init__(connection)
        self.tenant_id = tenant_id

    def _values(self, statement: Statement[Any], values: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(statement, TenantScoped | Global):
            raise UnscopedStatement("a tenant's unit of work runs tenant-scoped and global statements only")
        return {**values, TENANT: self.tenant_id}

    def first(self, statement: TenantScoped[R] | Global[R], **values: Any) -> R | None:
        """Returns the first row, or None."""
        return self._first(statement, values)

    def one(self, statement: TenantScoped[R] | Global[R], **values: Any) -> R:
        """Returns the only row, as of an insert or a count."""
        return self._one(statement, values)

    def all(self, statement: TenantScoped[R] | Global[R], **values: Any) -> list[R]:
        """Returns all rows."""
        return self._all(statement, values)

    def change(self, statement: TenantScoped[Any] | Global[Any], **values: Any) -> int:
        """Returns the number of rows that the insert, update or delete changed."""
        return self._change(statement, values)

    def change_later(self, statement: TenantScoped[Any] | Global[Any], **values: Any) -> None:
        """Makes a change like :meth:`change`, if the number doesn't matter and no conflict is expected. On PostgreSQL
        all waiting changes go in one round trip, so no two of them can change the same row."""
        self._change_later(statement, values)


class SystemUnit(_Unit):
    """One transaction that belongs to no tenant."""

    __slots__ = ()

    def _values(self, statement: Statement[Any], values: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(statement, CrossTenant | Global):
            raise UnscopedStatement(
                "a tenant-scoped statement runs only in a tenant's unit of work: unit.of(tenant_id)"
            )
        return values

    def first(self, statement: CrossTenant[R] | Global[R], **values: Any) -> R | None:
        """Returns the first row, or None."""
        return self._first(statement, values)

    def one(self, statement: CrossTenant[R] | Global[R], **values: Any) -> R:
        """Returns the only row, as of an insert or a count."""
        return self._one(statement, values)

    def all(self, statement: CrossTenant[R] | Global[R], **values: Any) -> list[R]:
        """Returns all rows."""
        return self._all(statement, values)

    def change(self, statement: CrossTenant[Any] | Global[Any], **values: Any) -> int:
        """Returns the number of rows that the insert, update or delete changed."""
        return self._change(statement, values)

    def change_later(self, statement: CrossTenant[Any] | Global[Any], **values: Any) -> None:
        """Makes a change like :meth:`TenantUnit.change_later`."""
        self._change_later(statement, values)

    def of(self, tenant_id: int) -> TenantUnit:
        """Returns the same transaction, bound to one tenant."""
        return TenantUnit(self._connection, tenant_id)
