"""``doctor``: checks the clock against fixed dates, PostgreSQL's clock, and the audit trail."""

from __future__ import annotations

from manifest_auth.audit import NEWEST_FIRST, EventFilter, page_across
from manifest_auth.runtime.settings import Settings
from manifest_auth.store import Store
from manifest_auth.store.migrate import server_clock
from manifest_auth.text.canonical import when

_EARLIEST_MS = 1_767_225_600_000  # 2026-01-01: a clock before that is wrong
_LATEST_MS = 2_398_377_600_000  # 2046-01-01: a clock after that is wrong too
_APART_MS = 30_000  # more cannot be network delay or a busy machine
_SET = "set it, better by NTP"


def plausible(now: int) -> tuple[str, str]:
    """Level and text for the comparison with fixed dates. ``now``: what the clock says, milliseconds."""
    if now < _EARLIEST_MS:
        return "bad", f"clock: it is set to the past; tokens will be refused; {_SET}"
    if now > _LATEST_MS:
        return "bad", f"clock: it is set to the far future; everything has expired; {_SET}"
    return "ok", "clock: plausible"


async def compared(settings: Settings, store: Store, now: int) -> list[tuple[str, str]]:
    """Level and text for the comparison with the store; none when all agree."""
    database_clock = await server_clock(settings.database)
    if database_clock is not None and abs(now - database_clock) > _APART_MS:
        order = "behind" if now < database_clock else "ahead of"
        return [
            ("bad", f"clock: it is {abs(now - database_clock) // 1000} s {order} PostgreSQL's; set both, better by NTP")
        ]
    newest, _ = await page_across(store, EventFilter(order=NEWEST_FIRST), 1)
    if newest and newest[0].link.at > now + _APART_MS:
        at = when(newest[0].link.at)
        return [("bad", f"clock: it is behind {at}, when the newest event of the audit trail was recorded; {_SET}")]
    return []
