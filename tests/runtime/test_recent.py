"""The cache of recently used entries: what it keeps, and how many bytes it uses."""

from __future__ import annotations

import tracemalloc

from manifest_auth.runtime.recent import ENTRY_BYTES, Recent

TEXT = "x" * 300


def _text(number: int) -> str:
    return f"{TEXT}{number:08}"


def test_used_entries_stay() -> None:
    kept: Recent[int] = Recent(64 * (len(_text(0)) + ENTRY_BYTES))
    for number in range(64):
        kept.put(_text(number), number)
    for number in range(64, 1000):
        kept.put(_text(number), number)
        assert kept.get(_text(60)) == 60
        assert kept.get(_text(number)) == number
        assert 56 <= sum(_text(each) in kept for each in range(1000)) <= 64
    assert kept.get(_text(1)) is None


def test_what_fits_is_kept_in_whatever_order_it_is_used() -> None:
    kept: Recent[int] = Recent(64 * (len(_text(0)) + ENTRY_BYTES))
    for number in [*range(64), *range(64)]:
        if kept.get(_text(number)) is None:
            kept.put(_text(number), number)
    assert all(kept.get(_text(number)) == number for number in range(64))


def test_if_all_were_used_the_oldest_are_dropped() -> None:
    kept: Recent[int] = Recent(16 * (len(_text(0)) + ENTRY_BYTES))
    for number in range(64):
        kept.put(_text(number), number)
        for each in range(number + 1):
            kept.get(_text(each))
    assert 14 <= sum(_text(each) in kept for each in range(64)) <= 16
    assert _text(63) in kept


def test_what_is_put_again_and_again_pushes_nothing_out() -> None:
    kept: Recent[int] = Recent(4 * (1 + ENTRY_BYTES))
    for number in [0, 1, *[2] * 100]:
        kept.put(str(number), number)
    assert [kept.get(str(number)) for number in range(3)] == [0, 1, 2]


def test_a_dropped_entry_frees_its_space() -> None:
    kept: Recent[int] = Recent(4 * (1 + ENTRY_BYTES))
    for _ in range(3):
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
