"""``python -m bench.commits ADDRESS CONNECTIONS SECONDS``: durable one-row commits per second, as JSON.

On SQLite, the commits are sequential, with the store's WAL and ``synchronous=FULL`` settings, in a file next to the
store's. On PostgreSQL, one process uses asyncpg with this many connections, one statement per commit.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import time

import asyncpg

ROWS = 4096


def _sqlite(path: str, seconds: float) -> float:
    database = sqlite3.connect(path + ".commits", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE IF NOT EXISTS rows (id TEXT PRIMARY KEY, at INTEGER) WITHOUT ROWID")
    database.execute("BEGIN")
    database.executemany("INSERT OR IGNORE INTO rows VALUES (?, 0)", ((f"{n:032x}",) for n in range(ROWS)))
    database.execute("COMMIT")
    count, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        database.execute("UPDATE rows SET at = ? WHERE id = ?", (count, f"{count % ROWS:032x}"))
        count += 1
    database.close()
    return count / spent


async def _postgresql(address: str, connections: int, seconds: float) -> float:
    pool = await asyncpg.create_pool(address, min_size=connections, max_size=connections)
    await pool.execute("CREATE TABLE IF NOT EXISTS bench_rows (id INT PRIMARY KEY, at BIGINT)")
    await pool.execute("INSERT INTO bench_rows SELECT n, 0 FROM generate_series(0, $1) n ON CONFLICT DO NOTHING", ROWS)
    until = time.perf_counter() + seconds

    async def commit(first: int) -> int:
        count = 0
        async with pool.acquire() as connection:
            change = await connection.prepare("UPDATE bench_rows SET at = $1 WHERE id = $2")
            while time.perf_counter() < until:
                await change.fetch(count, (first + count * connections) % ROWS)
                count += 1
        return count

    began = time.perf_counter()
    counts = await asyncio.gather(*(commit(number) for number in range(connections)))
    spent = time.perf_counter() - began
    await pool.close()
    return sum(counts) / spent


def main(address: str, connections: int, seconds: float) -> float:
    if address.startswith("sqlite:///"):
        return _sqlite(address.removeprefix("sqlite:///"), seconds)
    return asyncio.run(_postgresql(address, connections, seconds))


if __name__ == "__main__":
    print(json.dumps([main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))]))
