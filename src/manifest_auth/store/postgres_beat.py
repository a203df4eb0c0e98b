"""Heartbeat of a process on PostgreSQL: it reads announcements four times a second, and when it is woken.

It is one statement on its own connection, which works through a pooler in transaction mode. It proves which
announcements preceded it, that this server still commits, and that the process is alive
(``docs/decisions/0005-revocation.md``). ``NOTIFY`` only wakes other processes; nothing depends on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from manifest_auth import __version__
from manifest_auth.runtime.clock import Clock, Random
from manifest_auth.runtime.logs import FilteringBoundLogger
from manifest_auth.runtime.metrics import BeatMetrics, Reset
from manifest_auth.runtime.revisions import HEAD
from manifest_auth.store.postgres_connections import FAILURES, Connections, connected, means_gone
from manifest_auth.store.unit import RESET, Announcement

# Decides whether cached data from PostgreSQL can be used, and what the cache must drop, without a connection or a
# clock.
#
# IDs of announcements prove nothing, since transactions commit in any order. Transaction numbers do: each one below the
# oldest running transaction (``pg_snapshot_xmin``, PostgreSQL 18, table 9.86) is committed and visible, or rolled back.
# So each beat reads rows from that number of the last beat upward, and skips those that the last beat already showed.


#: How long the cache can be used after the last good beat was sent, in seconds.
VALID_S = 0.8
#: A response with more announcements is not read.
MOST = 5000
#: A number above all transactions.
_NONE = 2**63 - 1


#: Seconds that also count while the machine sleeps (``CLOCK_BOOTTIME``, Linux).
boot_time: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_BOOTTIME)


class CacheValidity:
    """The validity of one process's cache. ``now`` is a clock in seconds."""

    def __init__(self, now: Callable[[], float] = boot_time) -> None:
        self._now = now
        self._until = 0.0
        self._shown: Mapping[int, Announcement] = {}
        #: The number of the first transaction that the next beat reads.
        self.since = _NONE

    def holds(self) -> bool:
        """Whether everything announced until :data:`VALID_S` ago has been dropped."""
        return self._now() < self._until

    def end(self) -> None:
        """Ends the validity, because a beat failed."""
        self._until = 0.0

    def take(
        self, oldest: int, has_row: bool, announced: Mapping[int, Announcement], sent_at: float
    ) -> tuple[Reset | None, list[Announcement]]:
        """Returns why everything must be dropped, if so, and the entries to drop now, before anything else runs.
        ``oldest``: the oldest running transaction; ``announced``: announcements by ID, at most one more than
        :data:`MOST`; ``sent_at``: when the beat was sent, by the same clock."""
        reasons: dict[Reset, bool] = {
            "start": self.since == _NONE,
            "server": oldest < self.since,
            "row": not has_row,
            "many": len(announced) > MOST,
            "gap": not self.holds(),
        }
        known, self._shown = self._shown, announced
        self.since, self._until = oldest, sent_at + VALID_S
        if why := next((why for why, holds in reasons.items() if holds), None):
            return why, [RESET]
        return None, [announcement for number, announcement in announced.items() if number not in known]


EVERY_S = 0.25
WAKE_APART_S, TELL_APART_S = 0.02, 0.005
#: How long to wait for the response to a beat. The cache is not used during that time.
PATIENCE_S = 1.5
SKEW_MS = 30_000  # a network delay or a busy machine causes less
CHANNEL = "manifest_auth"
NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
# A commit that waits for the disk, but for no standby, so that a hanging standby blocks writes, but not reads.
_LOCAL = "set_config('synchronous_commit', 'local', true)"
_BEAT = f"""
WITH beat AS (UPDATE nodes SET seen_at = {NOW}, state = $2, skew_ms = $3 WHERE id = $4 RETURNING {_LOCAL})
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, (SELECT count(*) FROM beat), {NOW}, a.id, a.kind, a.key
FROM (SELECT 1) one LEFT JOIN announcements a ON a.xid >= $1 LIMIT {MOST + 1}
"""
_ENTER = f"""
INSERT INTO nodes (id, started_at, seen_at, host, pid, version, schema, state, skew_ms)
VALUES ($1, {NOW}, {NOW}, $2, $3, $4, $5, $6, 0) ON CONFLICT (id) DO NOTHING RETURNING {_LOCAL}
"""
# Nodes notify one another in turn, under one lock of the whole server, which must not be held during disk writes.
_TELL = f"SELECT set_config('synchronous_commit', 'off', true), pg_notify('{CHANNEL}', '')"
LEAVE = "DELETE FROM nodes WHERE id = $1"
#: The last statement before the commit. Its parameters are clients, kinds and keys.
ANNOUNCE = f"""
INSERT INTO announcements (xid, at, client, kind, key)
SELECT pg_current_xact_id()::text::bigint, {NOW}, * FROM unnest($1::bigint[], $2::text[], $3::text[])
"""
SWEEP = f"""
WITH gone AS (DELETE FROM nodes WHERE seen_at < {NOW} - 600000)
DELETE FROM announcements WHERE at < {NOW} - 1200000
"""


class Beats:
    """The beats of a process. ``url``: the direct address; ``server``: is notified when it is found or lost;
    ``deliver``: drops announced entries from the cache; ``state``: what the process is doing; ``wakes``: other
    processes are woken, and wake this one."""

    def __init__(
        self,
        validity: CacheValidity,
        url: str,
        server: Connections,
        deliver: Callable[[Sequence[Announcement]], None],
        state: Callable[[], str],
        metrics: BeatMetrics,
        log: FilteringBoundLogger,
        *,
        wakes: bool,
    ) -> None:
        self._validity, self._url, self._server, self._deliver, self._state = validity, url, server, deliver, state
        self._unanswered = 0  # consecutive connections without an answered beat
        self._metrics, self._log, self._wakes, self._clock = metrics, log, wakes, Clock()
        self.node_id = Random().text(9)
        self.skew_ms = 0
        self._turn = asyncio.Event()
        self._is_woken = self._is_untold = False
        self._lapse: asyncio.TimerHandle | None = None
        self._running = asyncio.create_task(self._run(), name="store-beat")

    async def stop(self) -> None:
        """Ends the beat. The row of the process stays."""
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running
        self._lapsed()

    def tell(self) -> None:
        """Wakes the other processes after a commit that announced something."""
        if self._wakes:
            self._is_untold = True
            self._turn.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            self._unanswered += 1
            try:
                async with connected(self._url, "manifest-auth-beat", is_serving=True) as raw:
                    await self._beat_on(raw)
            except FAILURES as error:
                if means_gone(error, self._unanswered):
                    self._server.lost()
            except Exception:  # noqa: BLE001 - logged with its trace
                self._log.exception("beat_failed")
            self._lapsed()
            await asyncio.sleep(began + EVERY_S - loop.time())

    async def _beat_on(self, raw: Any) -> None:
        loop = asyncio.get_running_loop()
        # Through a pooler each statement can use another connection, so there is nothing to listen on.
        if self._wakes:
            async with asyncio.timeout(PATIENCE_S):
                if not await raw.is_pooled():
                    await raw.add_listener(CHANNEL, self._on_wake)
        beat_at = tell_at = 0.0
        while True:
            now = loop.time()
            due = beat_at + (WAKE_APART_S if self._is_woken else EVERY_S)
            if self._is_untold and now >= tell_at:
                self._is_untold, tell_at = False, now + TELL_APART_S
                await self._asked(raw, _TELL)
            elif now >= due:
                self._is_woken, beat_at = False, now
                await self._beat(raw)
            else:
                self._turn.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(min(due, tell_at) if self._is_untold else due):
                        await self._turn.wait()

    async def _beat(self, raw: Any) -> None:
        sent_at, sent_ms = boot_time(), self._clock.now_ms()
        rows = await self._asked(raw, _BEAT, self._validity.since, self._state(), self.skew_ms, self.node_id)
        oldest, has_row, server_ms = rows[0][:3]
        announced = {row[3]: Announcement(row[4], row[5]) for row in rows if row[3] is not None}
        # No other code runs between dropping entries and setting the new end of validity.
        why, news = self._validity.take(oldest, has_row > 0, announced, sent_at)
        self._deliver(news)
        self._unanswered = 0
        self._server.found()
        took = boot_time() - sent_at
        if why is not None:
            self._metrics.resets[why].inc()
        for announcement in news:
            if (counter := self._metrics.announced.get(announcement.kind)) is not None:
                counter.inc()
        self._tell_skew(sent_ms - server_ms)
        self._metrics.seconds.observe(took)
        self._metrics.current.set(1)
        if self._lapse is not None:
            self._lapse.cancel()
        self._lapse = asyncio.get_running_loop().call_later(VALID_S - took, self._lapsed)
        if not has_row:
            named = (socket.gethostname(), os.getpid(), __version__, HEAD)
            await self._asked(raw, _ENTER, self.node_id, *named, self._state())

    async def _asked(self, raw: Any, statement: str, *values: Any) -> Any:
        """Returns the rows of a statement. A connection that doesn't respond is ended without a cancel request."""
        overdue = asyncio.get_running_loop().call_later(PATIENCE_S, raw.terminate)
        try:
            return await raw.fetch(statement, *values)
        finally:
            overdue.cancel()

    def _lapsed(self) -> None:
        if self._lapse is not None:
            self._lapse.cancel()
        self._validity.end()
        self._metrics.current.set(0)

    def _tell_skew(self, skew_ms: int) -> None:
        if abs(skew_ms) > SKEW_MS >= abs(self.skew_ms):
            self._log.warning("clock_skew", ahead_ms=skew_ms)
        self.skew_ms = skew_ms
        self._metrics.skew.set(skew_ms / 1000)

    def _on_wake(self, raw: Any, pid: int, _channel: str, _payload: Any) -> None:
        if pid != raw.get_server_pid():  # this process's own commits are already delivered
            self._is_woken = True
            self._turn.set()
