"""``doctor``: checks the clock against fixed dates, PostgreSQL's clock, those of other nodes, and the audit trail."""

from __future__ import annotations

from sqlalchemy import bindparam, func, select

from manifest_auth.audit import NEWEST_FIRST, EventFilter, page_across
from manifest_auth.store import Store, global_
from manifest_auth.store.tables import nodes
from manifest_auth.text.canonical import when

_EARLIEST_MS = 1_767_225_600_000  # 2026-01-01: a clock before that is wrong
_LATEST_MS = 2_398_377_600_000  # 2046-01-01: a clock after that is wrong too
_APART_MS = 30_000  # more cannot be network delay or a busy machine
_ALIVE_MS = 60_000
_SET = "set it, better by NTP"
_N = nodes.c
_SKEWED = global_(
    select(_N.host, _N.pid, _N.skew_ms)
    .where(func.abs(_N.skew_ms) > _APART_MS, _N.seen_at > bindparam("since"))
    .order_by(_N.host, _N.pid)
)


def plausible(now: int) -> tuple[str, str]:
    """Level and text for the comparison with fixed dates. ``now``: what the clock says, milliseconds."""
    if now < _EARLIEST_MS:
        return "bad", f"clock: it is set to the past; tokens will be refused; {_SET}"
    if now > _LATEST_MS:
        return "bad", f"clock: it is set to the far future; everything has expired; {_SET}"
    return "ok", "clock: plausible"


async def compared(store: Store, now: int) -> list[tuple[str, str]]:
    """Level and text for the comparison with the store; none when all agree."""
    database_clock = await store.server_clock()
    if database_clock is not None and abs(now - database_clock) > _APART_MS:
        return [("bad", f"clock: it is {_apart(now - database_clock)}; set both, better by NTP")]
    since = 0 if database_clock is None else database_clock - _ALIVE_MS
    if skewed := await store.read(lambda unit: unit.all(_SKEWED, since=since)):
        told = (f"that of {host} (process {pid}) is {_apart(skew)}" for host, pid, skew in skewed)
        return [("bad", f"clock: {text}; {_SET}") for text in told]
    newest, _ = await page_across(store, EventFilter(order=NEWEST_FIRST), 1)
    if newest and newest[0].link.at > now + _APART_MS:
        at = when(newest[0].link.at)
        return [("bad", f"clock: it is behind {at}, when the newest event of the audit trail was recorded; {_SET}")]
    return []


def _apart(skew_ms: int) -> str:
    return f"{abs(skew_ms) // 1000} s {'behind' if skew_ms < 0 else 'ahead of'} PostgreSQL's"
