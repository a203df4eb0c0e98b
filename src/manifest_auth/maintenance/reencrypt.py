"""Re-encrypts all sealed values with the newest secret key, in small units of work, while servers run.

Sealed columns are marked in their tables (``store/tables/columns.py``), so none is missed. MACs of the audit trail are
renewed as well. You can simply repeat an interrupted run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from string import Formatter
from typing import Any, NamedTuple

from sqlalchemy import Column, Select, bindparam, select, tuple_, update

from manifest_auth import audit
from manifest_auth.audit import Event
from manifest_auth.audit.upkeep import ANCHORS, HEADS, SignedTable, renew_some
from manifest_auth.context import Acting
from manifest_auth.runtime.sealing import CannotOpen, Sealer
from manifest_auth.services import Services
from manifest_auth.sessions.tokens import KeyRing
from manifest_auth.store import Store, SystemUnit, cross_tenant, global_
from manifest_auth.store.tables import TENANT_OWNED, metadata, sealed_for

STEP = 100  # rows per unit of work: a few milliseconds, during which other writers of SQLite wait
ROUNDS = 10


class Sealed:
    """A sealed column, with statements that page through its table by key."""

    def __init__(self, column: Column[Any]) -> None:
        self.column = column
        self.name = f"{column.table.name}.{column.name}"
        self._keys = list(column.table.primary_key.columns)
        named = [name for _, name, _, _ in Formatter().parse(column.info["sealed"]) if name]
        self.columns = list(dict.fromkeys([*(key.name for key in self._keys), *named, column.name]))
        rows = select(*(column.table.c[name] for name in self.columns)).where(column.is_not(None))
        rows = rows.order_by(*self._keys).limit(STEP)
        after = tuple_(*self._keys) > tuple_(*(bindparam(f"after_{key.name}", type_=key.type) for key in self._keys))
        self._first, self._next = self._statement(rows), self._statement(rows.where(after))
        same = [key == bindparam(f"of_{key.name}") for key in self._keys]
        # A row that changed in the meantime has a newly sealed value, which stays.
        change = update(column.table).where(*same, column == bindparam("before")).values({column: bindparam("renewed")})
        self._change = self._statement(change)

    def read(self, unit: SystemUnit, last: dict[str, Any] | None) -> list[dict[str, Any]]:
        """Returns the next rows after ``last``, at most :data:`STEP`, by column name."""
        found = unit.all(self._first) if last is None else unit.all(self._next, **self._key_of(last, "after"))
        return [dict(zip(self.columns, row, strict=True)) for row in found]

    def replace(self, unit: SystemUnit, row: dict[str, Any], renewed: bytes | None) -> int:
        """Replaces the row's value unless it changed in the meantime. Returns the number of changed rows."""
        return unit.change(self._change, before=row[self.column.name], renewed=renewed, **self._key_of(row, "of"))

    def _key_of(self, row: dict[str, Any], prefix: str) -> dict[str, Any]:
        """The row's key, as statement parameters."""
        return {f"{prefix}_{key.name}": row[key.name] for key in self._keys}

    def _statement(self, source: Select[Any] | Any) -> Any:
        if self.column.table not in TENANT_OWNED:
            return global_(source)
        return cross_tenant(source, because="the installation's key encrypts the secrets of all tenants")


SEALED = tuple(
    Sealed(column) for table in metadata.sorted_tables for column in table.columns if "sealed" in column.info
)


@dataclass
class Report:
    """The result. ``renewed`` are numbers by column. ``lost`` are rows that no key decrypts, which stay unchanged."""

    seen: int = 0
    renewed: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    is_unfinished: bool = False  # whether a server still seals with an older key

    def count(self, name: str, seen: int, renewed: int, lost: list[str]) -> None:
        """Adds the counts of a step through a column."""
        self.seen += seen
        self.renewed[name] = self.renewed.get(name, 0) + renewed
        self.lost += lost


async def reencrypt(services: Services, progress: Callable[[str, int], None]) -> Report:
    """Re-encrypts until no value of an older key is left. ``progress`` gets the column and the number of its checked
    rows.

    A server can seal a value with the older key just before it reads the new one, in a part that was already checked.
    So everything is checked again until nothing was renewed.
    """
    report = Report()
    for _ in range(ROUNDS):
        report.seen, report.lost, before = 0, [], sum(report.renewed.values())
        for sealed in SEALED:
            await _walk(services, sealed, report, progress)
        for table in (HEADS, ANCHORS):
            await _sign(services, table, report, progress)
        if sum(report.renewed.values()) == before:
            return report
    report.is_unfinished = True
    return report


async def lost_rows(store: Store, sealer: Sealer, sealed: Sealed) -> AsyncIterator[dict[str, Any]]:
    """The rows of a column that no key decrypts, by column name."""
    last: dict[str, Any] | None = None
    while True:
        rows = await store.read(lambda unit: sealed.read(unit, last))  # noqa: B023 - awaited
        for row in rows:
            try:
                sealer.open(row[sealed.column.name], sealed_for(sealed.column, **row))
            except CannotOpen:
                yield row
        if len(rows) < STEP:
            return
        last = rows[-1]


async def _walk(services: Services, sealed: Sealed, report: Report, progress: Callable[[str, int], None]) -> None:
    last: dict[str, Any] | None = None
    count = 0
    while True:
        rows, renewed, lost = await services.store.write(lambda unit: _step(unit, services, sealed, last))  # noqa: B023 - awaited
        count += len(rows)
        report.count(sealed.name, len(rows), renewed, lost)
        progress(sealed.name, count)
        if len(rows) < STEP:
            return
        last = rows[-1]


def _step(
    unit: SystemUnit, services: Services, sealed: Sealed, last: dict[str, Any] | None
) -> tuple[list[dict[str, Any]], int, list[str]]:
    """Returns the rows after ``last``, the number of renewed ones, and the names of the rows that no key decrypts."""
    rows, renewed, lost = sealed.read(unit, last), 0, []
    for row in rows:
        name = sealed_for(sealed.column, **row)
        try:
            fresh = services.sealer.renew(row[sealed.column.name], name)
        except CannotOpen:
            lost.append(name)
            continue
        if fresh is not None:
            renewed += sealed.replace(unit, row, fresh)
    return rows, renewed, lost


async def _sign(services: Services, table: SignedTable, report: Report, progress: Callable[[str, int], None]) -> None:
    after, count = -1, 0
    while True:
        step = await renew_some(services.store, table, after)
        count += len(step.chains)
        report.count(table.name, len(step.chains), step.renewed, step.lost)
        progress(table.name, count)
        if not step.chains:
            return
        after = step.chains[-1]


# Recovers after the secret key was lost: replaces values that no key decrypts, and restarts the authentication of the
# audit trail. Keeps second factors and PINs, even if no key opens them, because otherwise a password would be enough to
# sign in. ``doctor`` lists them, and who can replace them.


_PROVIDERS = next(part for part in SEALED if part.name == "providers.secrets")


class Replaced(NamedTuple):
    """The replacements: the number of signing keys, and of providers that lost their secrets. ``chains`` are audit
    chains with restarted authentication."""

    keys: int
    providers: int
    chains: list[int]


async def replace_lost(store: Store, ring: KeyRing, sealer: Sealer, acting: Acting, reason: str) -> Replaced:
    """Changes only values that none of the secret keys opens or created. Repeat it if it was interrupted."""
    chains = await audit.all_chains(store)
    restarted = [
        chain for chain in chains if await store.of(chain).write(lambda unit: audit.restart(unit, acting, reason))
    ]
    providers = 0
    async for row in lost_rows(store, sealer, _PROVIDERS):
        providers += await store.write(lambda unit: _PROVIDERS.replace(unit, row, None))  # noqa: B023 - awaited

    def work(unit: SystemUnit) -> int:
        keys = ring.replace_lost(unit)
        if keys or providers or restarted:
            detail = {"keys": keys, "providers": providers, "chains": len(restarted)}
            audit.record_installation(unit, acting, Event.SECRET_KEY_LOST, "", reason=reason, **detail)
        return len(keys)

    return Replaced(await store.write(work), providers, restarted)
