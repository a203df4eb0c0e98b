"""An audit export can be verified on its own, and one by time has no gaps, even if clocks jumped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from manifest_auth import audit
from manifest_auth import audit as trail
from manifest_auth.audit import MOST_SKEW_MS, Event, Origin, Span
from manifest_auth.store import Store, TenantUnit
from tests.audit.conftest import Chain
from tests.support.matrix import matrix


async def exported(chain: Chain, span: Span = Span()) -> list[bytes]:  # noqa: B008 - immutable
    return [line async for some in trail.export(chain.store, [chain.number], span) for line in some.lines]


def proved(lines: list[bytes]) -> list[tuple[int, str]]:
    [verdict] = trail.verify_export(lines, lambda _: None, {})
    return [(fault.sequence, fault.kind) for fault in verdict.faults]


def _with(line: bytes, **members: Any) -> bytes:
    return orjson.dumps({**orjson.loads(line), **members}) + b"\n"


#: The change to nine lines, by name, and the findings.
ACTS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], list[tuple[int, str]]]] = {
    "nothing": (lambda lines: lines, []),
    "a line removed": (lambda lines: lines[:4] + lines[5:], [(5, "broken")]),
    "a line twice": (lambda lines: lines[:5] + lines[4:], [(6, "broken")]),
    "a later line twice": (lambda lines: [*lines, lines[6]], [(10, "broken")]),
    "two neighbours swapped": (lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]], [(5, "broken")]),
    "another client in one line": (
        lambda lines: [_with(line, client="globex" if n == 4 else "x") for n, line in enumerate(lines)],
        [(5, "broken")],
    ),
    "another client in all lines": (lambda lines: [_with(line, client="globex") for line in lines], [(1, "broken")]),
    "a member twice": (
        lambda lines: [*lines[:4], lines[4].replace(b'"event":', b'"event":"signed_out","event":'), *lines[5:]],
        [(5, "broken")],
    ),
    "a member more": (lambda lines: [*lines[:4], _with(lines[4], more=1), *lines[5:]], [(5, "broken")]),
    "an actor altered": (lambda lines: [*lines[:4], _with(lines[4], actor="x"), *lines[5:]], [(5, "broken")]),
}


@matrix("act", ACTS)
async def test_changed_lines_are_reported(chain: Chain, act: str) -> None:
    alter, expected = ACTS[act]
    assert proved(alter(await exported(chain))) == expected


@matrix("lines", [[], [b"[]\n"], [b'{"chain":1}\n'], [b"\xff\n"]])
def test_an_invalid_export_is_rejected(lines: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"contains no events|line 1: not an event"):
        trail.verify_export(lines, lambda _: None, {})


async def _record(chain: Chain, *times: int) -> None:
    def work(unit: TenantUnit, at: int) -> None:
        audit.record(unit, Origin(at, "user:1", "", "r"), Event.SIGNED_IN)

    for at in times:
        await chain.store.of(chain.number).write(lambda unit, at=at: work(unit, at))  # type: ignore[misc]


async def _times(chain: Chain) -> list[int]:
    rows = await chain.rows("SELECT at FROM audit_events WHERE tenant_id = {c} ORDER BY sequence")
    return [at for (at,) in rows]


async def test_times_follow_the_numbers_even_if_clocks_differ(chain: Chain) -> None:
    await _record(chain, 100_000, 99_000, 100_000 - MOST_SKEW_MS, 100_500)
    assert (await _times(chain))[-4:] == [100_000, 100_000, 100_000, 100_500]


async def test_a_clock_that_was_far_ahead_does_not_stop_time(chain: Chain) -> None:
    await _record(chain, 10**9, 100_000, 101_000)
    assert (await _times(chain))[-3:] == [10**9, 100_000, 101_000]
    lines = await exported(chain, Span(100_500, None))
    assert [orjson.loads(line)["sequence"] for line in lines] == [10, 11, 12]
    assert proved(lines) == []


async def test_an_export_by_time_of_concurrent_events_has_no_gap(store: Store, chain: Chain) -> None:
    """Each one reads the clock before it waits for the others."""
    clock = iter(range(20_000, 30_000))

    async def one() -> None:
        for _ in range(8):
            origin = Origin(next(clock), "user:1", "", "r")
            await asyncio.sleep(0)
            await store.of(chain.number).write(lambda unit, o=origin: audit.record(unit, o, Event.SIGNED_IN))  # type: ignore[misc]

    await asyncio.gather(*(one() for _ in range(8)))
    times = await _times(chain)
    assert times == sorted(times)
    for since, until in ((times[20], None), (None, times[40]), (times[15], times[50])):
        lines = await exported(chain, Span(since, until))
        assert len(lines) > 5
        assert proved(lines) == []
