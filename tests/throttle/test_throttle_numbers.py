"""Rate limits as numbers: waits, retention times, and the names of the counters."""

from __future__ import annotations

from itertools import permutations

from manifest_auth.throttle import throttle
from tests.support.matrix import matrix
from tests.support.rules import rule

MINUTE_MS = 60_000
DAY_MS = 86_400_000


def test_what_is_counted_cannot_be_cut_elsewhere_to_name_another_counter() -> None:
    """Otherwise, the first client's eleventh user and the eleventh client's first would share a counter."""
    named = [("of", 1, 11), ("of", 11, 1), ("of", 111), ("o", "f1", 11), ("of", "", 1, 11), ("of", 1, 11, "")]
    assert len({throttle.key_of(*parts) for parts in named}) == len(named)


@rule("THROTTLE-PAUSES")
@matrix(
    ("name", "failures", "pause"),
    [
        ("ORIGIN", 4, 0),
        ("ORIGIN", 5, 1000),
        ("ORIGIN", 6, 2000),
        ("ORIGIN", 14, 512_000),
        ("ORIGIN", 15, 15 * MINUTE_MS),
        ("ORIGIN", 99, 15 * MINUTE_MS),
        ("ORIGIN", 100, DAY_MS),
        ("ACCOUNT", 9, 0),
        ("ACCOUNT", 10, 1000),
        ("ACCOUNT", 20, 15 * MINUTE_MS),
        ("ACCOUNT", 100, DAY_MS),
        ("ADDRESS", 49, 0),
        ("ADDRESS", 50, 1000),
        ("ADDRESS", 56, MINUTE_MS),
        ("ADDRESS", 100_000, MINUTE_MS),
    ],
)
def test_how_long_the_next_attempt_waits(name: str, failures: int, pause: int) -> None:
    assert getattr(throttle, name).pause_ms(failures) == pause


def test_how_long_each_counter_remembers() -> None:
    assert throttle.ORIGIN.memory_ms == throttle.ACCOUNT.memory_ms == DAY_MS
    assert throttle.ADDRESS.memory_ms == 60 * MINUTE_MS
    assert throttle.KEPT_MS == 2 * DAY_MS  # otherwise, a sweep would delete counters that are still valid


def test_two_transactions_lock_the_same_counters_in_one_order() -> None:
    """Otherwise, each could wait for the other."""
    counters = throttle.by_address(throttle.ADDRESS, lambda network: network, "2001:db8:1:2::1")
    assert {tuple(throttle.in_order(given)) for given in permutations(counters)} == {tuple(throttle.in_order(counters))}
