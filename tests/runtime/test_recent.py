"""The cache of what was used last: what it keeps, and how many bytes it takes."""

from __future__ import annotations

import tracemalloc

from manifest_auth.runtime.recent import ENTRY_BYTES, Recent

TEXT = "x" * 300


def _text(number: int) -> str:
    return f"{TEXT}{number:08}"


def test_what_is_used_stays_whatever_else_comes() -> None:
    kept: Recent[int] = Recent(20 * (len(_text(0)) + ENTRY_BYTES))
    kept.put(_text(0), 7)
    for number in range(1, 1000):
        assert kept.get(_text(0)) == 7
        kept.put(_text(number), number)
        assert kept.get(_text(number)) == number
    assert sum(_text(number) in kept for number in range(1000)) <= 22
    assert kept.get(_text(1)) is None


def test_what_was_dropped_is_gone_from_both_halves() -> None:
    kept: Recent[int] = Recent(4 * (1 + ENTRY_BYTES))
    for number in range(4):
        kept.put(str(number), number)
    for number in range(4):
        kept.drop(str(number))
        assert str(number) not in kept
        assert kept.get(str(number)) is None


def test_it_takes_no_more_memory_than_it_was_given() -> None:
    most = 2_000_000
    tracemalloc.start()
    kept: Recent[tuple[str, int]] = Recent(most)
    for number in range(10_000):
        kept.put(_text(number), (f"{number:022}", number))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(_text(number) in kept for number in range(10_000)) > 1000
    assert taken <= most
