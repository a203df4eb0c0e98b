"""Where a sign-in may end: at an address that the client listed, letter by letter, or at a page of our own.

Everything else is refused at once, so no sign-in of ours sends a person to an address that someone else chose.
"""

from __future__ import annotations

import re

ACCOUNT = "/account"
_REST = r"(?:[/?][A-Za-z0-9/_.\-?=&]*)?\Z"
_OWN = re.compile(r"/(?:account|console|device)" + _REST)
_PAGE = re.compile(r"/(?:account|console|device|forgot|installation|pair|sign-in|sign-out|welcome)" + _REST)
_LONGEST = 6000  # an address that holds what a sign-in under way knows is long


def is_own_path(address: str) -> bool:
    """Whether it is a path of our own pages. What browsers read in other ways than it looks is none: a second slash,
    a backslash, dots that go up, anything encoded."""
    return _is(_OWN, address)


def is_own_page(address: str) -> bool:
    """The same of every page, for what only shows the page again that a person was on."""
    return _is(_PAGE, address)


def _is(pattern: re.Pattern[str], address: str) -> bool:
    return len(address) <= _LONGEST and bool(pattern.match(address)) and "//" not in address and ".." not in address
