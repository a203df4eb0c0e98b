"""Seats: which licence type allows which roles, and whether one is left (docs/decisions/0027-seats.md).

Every active user with a role takes a seat, of all clients together. A type includes the types after it, so a free seat
of a greater type can serve for a lesser one.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple, Protocol

from sqlalchemy import select

from manifest_auth.errors import NoSeat
from manifest_auth.licence.licence import Seats
from manifest_auth.permissions import Role, roles_of
from manifest_auth.store import SystemUnit, TenantUnit, global_
from manifest_auth.store.tables import seats_taken

#: The licence types, the greatest first, with the roles that each allows.
ALLOWED: dict[str, frozenset[Role]] = {
    "full": frozenset(Role),
    "operate": frozenset({Role.OPERATOR, Role.VIEWER}),
    "connect": frozenset({Role.VIEWER}),
}
TYPES = tuple(ALLOWED)
_NO_SEAT = len(TYPES)


class SeatCounter(Protocol):
    """Counts seats where users are added or changed: the installation's gate, or :data:`UNCOUNTED`."""

    def seat(self, unit: TenantUnit, before: int, after: int) -> None:
        """Checks for the seat that the roles ``after`` need in place of those ``before``, both bit masks; 0: no user,
        or a deactivated one. Raises NoSeat, LicenseRequired, LicenseExpired."""


class _Uncounted:
    def seat(self, unit: TenantUnit, before: int, after: int) -> None:
        """Allows every seat."""


#: For code that fills an unused store: the demo, tests.
UNCOUNTED: SeatCounter = _Uncounted()


class _Taken(NamedTuple):
    roles: int
    users: int


# A view: numbers of the whole installation, without any client's rows.
_TAKEN = global_(select(seats_taken.c.roles, seats_taken.c.users), _Taken)


@lru_cache(maxsize=1 << len(Role))
def type_index(roles: int) -> int:
    """The index in :data:`TYPES` of the least type that allows all roles of a mask; ``len(TYPES)`` for no role."""
    current = set(roles_of(roles))
    return max(n for n, allowed in enumerate(ALLOWED.values()) if current <= allowed) if current else _NO_SEAT


def taken(unit: TenantUnit | SystemUnit) -> Seats:
    """The number of users of the installation by the least type that each needs."""
    counts = [0] * (_NO_SEAT + 1)
    for row in unit.all(_TAKEN):
        counts[type_index(row.roles)] += row.users
    return Seats(*counts[:_NO_SEAT])


def free(granted: Seats, used: Seats) -> Seats:
    """How many users of each type could be added, if no other type is: seats of greater types serve for lesser ones."""
    left = [have - need for have, need in zip(_summed(granted), _summed(used), strict=True)]
    return Seats(*(max(0, min(left[n:])) for n in range(len(TYPES))))


def overdrawn(granted: Seats, used: Seats) -> list[str]:
    """The types with more users than seats, greater types included."""
    pairs = zip(TYPES, _summed(granted), _summed(used), strict=True)
    return [kind for kind, have, need in pairs if need > have]


def check(granted: Seats, used: Seats, before: int, after: int) -> None:
    """Checks whether a user may change from one type index to another, ``len(TYPES)`` being none. Raises NoSeat.

    Checks only types that get more users: where a smaller licence has fewer seats than users, existing users may still
    change to a lesser type.
    """
    have, need = _summed(granted), _summed(used)
    for n in range(after, before):
        if need[n] + 1 > have[n]:
            names = " or ".join(TYPES[: n + 1])
            raise NoSeat(
                f"The licence has no free seat for these roles: {need[n]} of {have[n]} seats of type {names} are taken"
            )


def _summed(seats: Seats) -> list[int]:
    """Seats of each type, including the greater ones."""
    return list(accumulate((seats.full, seats.operate, seats.connect)))
