"""``python -m bench.audit_trail [--events N] [--database URL]``: verifies and exports an audit trail of a million
events."""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import bindparam, insert, select, update

from manifest_auth import audit
from manifest_auth.audit import Event, Origin, Point
from manifest_auth.audit.events import Head, with_mac
from manifest_auth.store import Store, SystemUnit, cell, cross_tenant, open_store, row_list, rows
from manifest_auth.store.migrate import upgrade
from manifest_auth.store.tables import audit_events, audit_heads
from tests.support.secret_keys import MACS, SECRET_KEY, the_keys

CHAIN = 1
BATCH = 5000
_COLUMNS = ("tenant_id", *audit.COLUMNS)
_GIVEN = row_list("rows")
_FILL = cross_tenant(
    insert(audit_events).from_select(
        _COLUMNS, select(*(cell(_GIVEN, n, audit_events.c[name]) for n, name in enumerate(_COLUMNS)))
    ),
    because="the bench fills a chain faster than requests would",
)
_HEAD = cross_tenant(
    update(audit_heads)
    .where(audit_heads.c.tenant_id == CHAIN)
    .values({name: bindparam(name) for name in Head._fields}),
    because="the bench fills a chain faster than requests would",
)


def events(before: Point, count: int) -> Iterator[dict[str, Any]]:
    """Yields events like the ones that sign-ins record."""
    for number in range(before.sequence + 1, count + 1):
        detail = {"method": "password", "session": f"{number:022}"}
        values: dict[str, Any] = {
            "tenant_id": CHAIN,
            "sequence": number,
            "at": 1_700_000_000_000 + number * 1000,
            "event": "signed_in",
            "actor": "anonymous",
            "subject": f"user:{number % 1000}",
            "address": f"192.0.2.{number % 256}",
            "request_id": f"{number:022}",
            "detail": orjson.dumps(detail, option=orjson.OPT_SORT_KEYS).decode(),
            "previous_hash": before.hash,
        }
        values["hash"] = audit.digest(CHAIN, values)
        before = audit.Point(number, values["hash"])
        yield values


async def fill(store: Store, count: int) -> None:
    some: list[list[Any]] = []
    last: dict[str, Any] = {}
    origin = Origin(1_700_000_000_000, "system", "", "bench")

    def begin(unit: SystemUnit) -> Head:
        audit.record_installation(unit, origin, Event.KEYS_MADE)
        audit.record_creation(unit, CHAIN, origin)
        return audit.lock(unit.of(CHAIN))

    begun = await store.write(begin)

    async def put() -> None:
        text = rows(some)
        await store.write(lambda unit: unit.change(_FILL, rows=text))
        some.clear()

    for last in events(Point(begun.sequence, begun.hash), count):
        some.append([last[name] for name in _COLUMNS])
        if len(some) == BATCH:
            await put()
    if some:
        await put()

    def head(unit: SystemUnit) -> None:
        after = begun._replace(sequence=last["sequence"], hash=last["hash"], at=last["at"])
        unit.change(_HEAD, **with_mac(MACS, CHAIN, after)._asdict())

    await store.write(head)


def measured(url: str, *arguments: str) -> tuple[float, float]:
    """Runs a command that must succeed. Returns the seconds it took and its peak memory in MB."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "manifest_auth", *arguments],
        env={**os.environ, "MANIFEST_DATABASE_URL": url, "MANIFEST_SECRET_KEY": SECRET_KEY},
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, arguments
    return time.perf_counter() - began, used.ru_maxrss / 1024


async def prepare(url: str, count: int) -> None:
    await upgrade(url, the_keys)
    store = open_store(url, 2, macs=MACS)
    await store.open()
    try:
        await fill(store, count)
    finally:
        await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--database", help="an empty one (default: a SQLite file)")
    given_here = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = given_here.database or f"sqlite:///{Path(folder) / 'trail.db'}"
        began = time.perf_counter()
        asyncio.run(prepare(url, given_here.events))
        print(f"{given_here.events:,} events filled in, {time.perf_counter() - began:.0f} s")
        target = str(Path(folder) / "out.jsonl")
        for arguments in (
            ("audit", "verify"),
            ("audit", "export", "--output", target),
            ("audit", "verify", target),
        ):
            seconds, memory = measured(url, *arguments)
            rate = given_here.events / seconds
            print(f"{' '.join(arguments[:2])}: {seconds:.1f} s ({rate:,.0f} a second), {memory:.0f} MB at most")


if __name__ == "__main__":
    main()
