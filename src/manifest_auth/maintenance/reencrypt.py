"""Re-encrypts all sealed values with the newest secret key, in small units of work, while servers run.

Sealed columns are marked in their tables (``store/tables/columns.py``), so none is missed; MACs of the audit trail are
renewed as well. An interrupted run is simply repeated.
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

STEP = 100  # rows in one unit of work: some milliseconds, during which other writers of SQLite wait
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
        self.first, self.next = self._statement(rows), self._statement(rows.where(after))
        same = [key == bindparam(f"of_{key.name}") for key in self._keys]
        # A row that changed meanwhile has a newly sealed value, which stays.
        change = update(column.table).where(*same, column == bindparam("before")).values({column: bindparam("renewed")})
        self.change = self._statement(change)

    def key_of(self, row: dict[str, Any], prefix: str) -> dict[str, Any]:
        """The row's key, as parameters of a statement."""
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
    """The result. ``renewed``: numbers by column; ``lost``: rows that no key opens, which are unchanged."""

    seen: int = 0
    renewed: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    is_unfinished: bool = False  # a server still seals with an older key


class _Step(NamedTuple):
    rows: list[dict[str, Any]]
    renewed: int
    lost: list[str]


async def reencrypt(services: Services, progress: Callable[[str, int], None]) -> Report:
    """Re-encrypts until no value of an older key is left. ``progress`` gets the column and the number of its checked
    rows.

    A server may seal a value with the older key just before it reads the new one, in a part that was already checked:
    so everything is checked again until nothing was renewed.
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
    """The rows of a column that no key opens, by name of column."""
    after: dict[str, Any] = {}
    while True:
        statement = sealed.next if after else sealed.first
        found = await store.read(lambda unit: unit.all(statement, **after))  # noqa: B023 - awaited at once
        for row in (rows := [dict(zip(sealed.columns, row, strict=True)) for row in found]):
            try:
                sealer.open(row[sealed.column.name], sealed_for(sealed.column, **row))
            except CannotOpen:
                yield row
        if len(rows) < STEP:
            return
        after = sealed.key_of(rows[-1], "after")


async def _walk(services: Services, sealed: Sealed, report: Report, progress: Callable[[str, int], None]) -> None:
    after: dict[str, Any] | None = None
    count = 0
    while True:
        step = await services.store.write(lambda unit: _step(unit, services, sealed, after))  # noqa: B023 - awaited at once
        count += len(step.rows)
        report.seen += len(step.rows)
        report.renewed[sealed.name] = report.renewed.get(sealed.name, 0) + step.renewed
        report.lost += step.lost
        progress(sealed.name, count)
        if len(step.rows) < STEP:
            return
        after = sealed.key_of(step.rows[-1], "after")


def _step(unit: SystemUnit, services: Services, sealed: Sealed, after: dict[str, Any] | None) -> _Step:
    found = unit.all(sealed.first) if after is None else unit.all(sealed.next, **after)
    rows = [dict(zip(sealed.columns, row, strict=True)) for row in found]
    renewed, lost = 0, []
    for row in rows:
        name, before = sealed_for(sealed.column, **row), row[sealed.column.name]
        try:
            fresh = services.sealer.renew(before, name)
        except CannotOpen:
            lost.append(name)
            continue
        if fresh is not None:
            renewed += unit.change(sealed.change, before=before, renewed=fresh, **sealed.key_of(row, "of"))
    return _Step(rows, renewed, lost)


async def _sign(services: Services, table: SignedTable, report: Report, progress: Callable[[str, int], None]) -> None:
    after, count = -1, 0
    while True:
        step = await renew_some(services.store, table, after)
        count += len(step.chains)
        report.seen += len(step.chains)
        report.renewed[table.name] = report.renewed.get(table.name, 0) + step.renewed
        report.lost += step.lost
        progress(table.name, count)
        if not step.chains:
            return
        after = step.chains[-1]


# Goes on after the secret key was lost: replaces what no key opens, and begins the proof of the audit trail again.
#
# Second factors and PINs stay, though no key opens them: without them a password alone would sign in. ``doctor`` names
# them, and who replaces them.


_PROVIDERS = next(part for part in SEALED if part.name == "providers.secrets")


class Replaced(NamedTuple):
    """Numbers of signing keys and of providers whose secrets are gone; ``chains``: whose proof began again."""

    keys: int
    providers: int
    chains: list[int]


async def replace_lost(store: Store, ring: KeyRing, sealer: Sealer, acting: Acting, reason: str) -> Replaced:
    """Changes only what none of the secret keys opens or made; repeat it if it was interrupted."""
    chains = await audit.all_chains(store)
    restarted = [
        chain for chain in chains if await store.of(chain).write(lambda unit: audit.restart(unit, acting, reason))
    ]
    providers = 0
    async for row in lost_rows(store, sealer, _PROVIDERS):
        change = {"before": row["secrets"], "renewed": None, **_PROVIDERS.key_of(row, "of")}
        providers += await store.write(lambda unit: unit.change(_PROVIDERS.change, **change))  # noqa: B023 - awaited

    def work(unit: SystemUnit) -> int:
        keys = ring.replace_lost(unit)
        if keys or providers or restarted:
            detail = {"keys": keys, "providers": providers, "chains": len(restarted)}
            audit.record_installation(unit, acting, Event.SECRET_KEY_LOST, "", reason=reason, **detail)
        return len(keys)

    return Replaced(await store.write(work), providers, restarted)
