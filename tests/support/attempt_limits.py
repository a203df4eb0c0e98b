"""Numbers of free attempts, written down in the tests: taken from the code, they would change with it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple


class Free(NamedTuple):
    free: int


#: At an account from one origin, at an account from everywhere, and from an address at whatever accounts.
ORIGIN, ACCOUNT, ADDRESS = Free(5), Free(10), Free(50)
#: So many failures, and an account waits for a day.
HARD_CEILING = 100


def token_of_length(length: int, make: Callable[[str, str], str]) -> str:
    """A token of exactly that many characters. ``make`` builds it around two fillings, of header and claims: one alone
    does not give every length, since base64url writes four characters for three."""
    about = (length - len(make("", ""))) * 3 // 4
    fillings = itertools.product(range(4), range(about - 8, about + 8))
    tokens = (make("h" * header, "c" * claims) for header, claims in fillings)
    return next(token for token in tokens if len(token) == length)
