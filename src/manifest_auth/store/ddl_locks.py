"""Runs an upgrade's transaction so that it never makes those wait for long who use its tables.

PostgreSQL queues every later reader of a table behind a statement that waits to change it. So such a statement waits
two seconds at most; then the transaction is rolled back, those behind it go on, and it is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from manifest_auth.store.store import StoreUnavailable

LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"
TRIES = 30
PAUSE_S = 0.5
_LOCKED = ("55P03", "40P01")  # lock_not_available, deadlock_detected
#: Who keeps the holder of the advisory lock $1 waiting.
_BLOCKER = """
SELECT a.pid, a.usename, a.application_name, a.client_addr
FROM pg_locks l, unnest(pg_blocking_pids(l.pid)) blocking(pid) JOIN pg_stat_activity a ON a.pid = blocking.pid
WHERE l.locktype = 'advisory' AND l.objid = $1 AND l.granted LIMIT 1"""


async def with_short_locks(once: Callable[[], Awaitable[bool]], url: str, key: int) -> bool:
    """What ``once`` answers: one transaction with :data:`LOCK_TIMEOUT` under the advisory lock ``key``. Raises
    StoreUnavailable with who holds the lock, when that never ends."""
    from sqlalchemy.exc import DBAPIError

    for tries_left in reversed(range(TRIES)):
        holder: list[str] = []
        watch = None if tries_left else asyncio.create_task(_watch(url, key, holder))
        try:
            return await once()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") not in _LOCKED:
                raise
            if not tries_left:
                by = holder[0] if holder else "another connection"
                raise StoreUnavailable(
                    f"the upgrade needs a lock on a table that {by} holds; end that, and start again"
                ) from error
        finally:
            if watch is not None:
                watch.cancel()
        await asyncio.sleep(PAUSE_S)
    raise AssertionError("unreachable")


async def _watch(url: str, key: int, holder: list[str]) -> None:
    """Puts the connection that the upgrade waits for into ``holder``."""
    from manifest_auth.store.postgres_connect import connected

    async with connected(url) as raw:
        while not holder:
            if row := await raw.fetchrow(_BLOCKER, key):
                program, address = row["application_name"] or "a program", row["client_addr"] or "this machine"
                holder.append(f"{program} (process {row['pid']}, user {row['usename']}, from {address})")
            await asyncio.sleep(0.2)
