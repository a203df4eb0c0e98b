"""Counting seats: a free seat of a higher kind can replace a missing lower one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifest_auth.errors import NoSeat
from manifest_auth.licence import Seats, gate
from tests.support.matrix import matrix

NUMBERS = st.builds(Seats, *[st.integers(0, 4)] * 3)
NONE = 3  # the index of a user without a seat


def _numbers(seats_: Seats) -> tuple[int, int, int]:
    return seats_.full, seats_.operate, seats_.connect


def seated(granted: Seats, used: Seats) -> bool:
    """Whether every user gets a seat, starting with those who need the highest kind."""
    free = 0
    for have, need in zip(_numbers(granted), _numbers(used), strict=True):
        free += have - need
        if free < 0:
            return False
    return True


@given(granted=NUMBERS, used=NUMBERS, place=st.integers(0, 2))
def test_one_more_can_come_where_all_find_a_seat_then_and_nowhere_else(granted: Seats, used: Seats, place: int) -> None:
    if not seated(granted, used):
        return
    then = Seats(*(number + (place == n) for n, number in enumerate(_numbers(used))))
    if seated(granted, then):
        gate.check(granted, used, [(NONE, place)])
    else:
        with pytest.raises(NoSeat):
            gate.check(granted, used, [(NONE, place)])


@given(granted=NUMBERS, used=NUMBERS, before=st.integers(0, 2), after=st.integers(0, 2))
def test_who_is_there_can_move_where_all_find_a_seat_then(granted: Seats, used: Seats, before: int, after: int) -> None:
    if _numbers(used)[before] == 0 or after >= before or not seated(granted, used):
        return
    then = Seats(*(number - (before == n) + (after == n) for n, number in enumerate(_numbers(used))))
    if seated(granted, then):
        gate.check(granted, used, [(before, after)])
    else:
        with pytest.raises(NoSeat):
            gate.check(granted, used, [(before, after)])


@given(granted=NUMBERS, used=NUMBERS)
def test_more_are_said_to_be_there_than_seats_where_one_finds_none(granted: Seats, used: Seats) -> None:
    assert (gate.overdrawn(granted, used) == []) == seated(granted, used)


@matrix(
    ("granted", "used", "place"),
    [
        (Seats(2, 0, 1), Seats(1, 0, 2), 0),  # a user who needs less takes the second full seat
        (Seats(1, 1, 0), Seats(0, 2, 0), 0),
        (Seats(0, 1, 1), Seats(0, 0, 2), 1),
    ],
)
def test_a_seat_that_serves_a_user_of_a_lesser_type_is_taken(granted: Seats, used: Seats, place: int) -> None:
    assert seated(granted, used)
    with pytest.raises(NoSeat):
        gate.check(granted, used, [(NONE, place)])
