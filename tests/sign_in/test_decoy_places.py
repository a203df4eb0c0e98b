"""The place of a decoy in a range of IDs, by linear hashing, so that a number moves only to a new ID."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from manifest_auth.sign_in import password

NUMBERS = st.integers(0, 2**256 - 1)
COUNTS = st.integers(1, 2**40) | st.integers(1, 100)


def place(number: int, count: int) -> int:
    """The place of a number among this many IDs, as the statement computes it."""
    return max(int(place) for [place] in json.loads(password.places(number)) if place < count)


@given(NUMBERS, COUNTS)
def test_it_is_what_the_bits_of_the_count_leave_or_one_bit_less(number: int, count: int) -> None:
    bits = count.bit_length()
    long, short = number % 2**bits, number % 2 ** (bits - 1)
    assert place(number, count) == (long if long < count else short)


@given(NUMBERS, COUNTS)
def test_one_id_more_moves_a_number_to_it_or_not_at_all(number: int, count: int) -> None:
    assert place(number, count + 1) in (place(number, count), count)
