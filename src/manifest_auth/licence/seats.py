"""Seats: which licence type allows which roles, and whether one is left (docs/decisions/0027-seats.md).

A seat is taken by every user of the installation who is not deactivated and has a role, whichever client it is. A type
allows what the types after it allow, so a greater seat that is free serves where a lesser one is missing.
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

#: The types, the greatest first, and the roles that each allows.
ALLOWED: dict[str, frozenset[Role]] = {
    "full": frozenset(Role),
    "operate": frozenset({Role.OPERATOR, Role.VIEWER}),
    "connect": frozenset({Role.VIEWER}),
}
TYPES = tuple(ALLOWED)
_NO_SEAT = len(TYPES)


class Counter(Protocol):
    """Whoever lets users appear is handed one: the installation's gate, or :data:`UNCOUNTED`."""

    def seat(self, unit: TenantUnit, before: int, after: int) -> None:
        """Takes the seat that ``after`` needs in place of the one that ``before`` needed, both masks of roles; 0: of
        nobody, or of somebody who is deactivated. Raises NoSeat, LicenseRequired, LicenseExpired."""


class _Uncounted:
    def seat(self, unit: TenantUnit, before: int, after: int) -> None:
        """Every seat is free."""


#: For what fills a store that nobody uses yet: the demo, tests.
UNCOUNTED: Counter = _Uncounted()


class _Taken(NamedTuple):
    roles: int
    users: int


# A view: numbers of the whole installation, and no row of any client's.
_TAKEN = global_(select(seats_taken.c.roles, seats_taken.c.users), _Taken)


@lru_cache(maxsize=1 << len(Role))
def place(roles: int) -> int:
    """Where in :data:`TYPES` the least type stands that allows all roles of a mask; behind the last for no role."""
    held = set(roles_of(roles))
    return max(n for n, allowed in enumerate(ALLOWED.values()) if held <= allowed) if held else _NO_SEAT


def taken(unit: TenantUnit | SystemUnit) -> Seats:
    """How many users need each type at least, over the whole installation."""
    counts = [0] * (_NO_SEAT + 1)
    for row in unit.all(_TAKEN):
        counts[place(row.roles)] += row.users
    return Seats(*counts[:_NO_SEAT])


def free(granted: Seats, used: Seats) -> Seats:
    """How many more users of each type may come, of one type alone: a greater type's seats serve the lesser ones."""
    left = [have - need for have, need in zip(_summed(granted), _summed(used), strict=True)]
    return Seats(*(max(0, min(left[n:])) for n in range(len(TYPES))))


def overdrawn(granted: Seats, used: Seats) -> list[str]:
    """The types of which more users are there than seats, those of greater types counted in."""
    pairs = zip(TYPES, _summed(granted), _summed(used), strict=True)
    return [kind for kind, have, need in pairs if need > have]


def check(granted: Seats, used: Seats, before: int, after: int) -> None:
    """Whether somebody may go from one place to another, 'behind the last' being none. Raises NoSeat.

    Looks only at what gets worse by it: where a smaller licence left more users than seats, those who are there may
    still move to a lesser type.
    """
    have, need = _summed(granted), _summed(used)
    for n in range(after, before):
        if need[n] + 1 > have[n]:
            names = " or ".join(TYPES[: n + 1])
            raise NoSeat(
                f"The license has no free seat for these roles: {need[n]} of {have[n]} seats of type {names} are taken"
            )


def _summed(seats: Seats) -> list[int]:
    """Seats of each type and of those above it."""
    return list(accumulate((seats.full, seats.operate, seats.connect)))
