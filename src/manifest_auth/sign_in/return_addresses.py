"""Where a browser may return after a sign-in: to an address that equals a listed one, or to a page of this server.

Everything else is refused at once, so a sign-in never sends a user to an address that an attacker chose.
"""

from __future__ import annotations

import re

ACCOUNT = "/account"
_REST = r"(?:[/?][A-Za-z0-9/_.\-?=&]*)?\Z"
_OWN = re.compile(r"/(?:account|console|device)" + _REST)
_PAGE = re.compile(r"/(?:account|console|device|forgot|installation|pair|sign-in|sign-out|welcome)" + _REST)
_LONGEST = 6000  # the state of a running sign-in makes an address long


def is_own_path(address: str) -> bool:
    """Whether the address is a path of a page of this server where a sign-in may end. Texts that browsers interpret
    otherwise are refused: a second slash, a backslash, ``..``, anything encoded."""
    return _is(_OWN, address)


def is_own_page(address: str) -> bool:
    """As :func:`is_own_path`, for all pages: for links back to the page where the user was."""
    return _is(_PAGE, address)


def _is(pattern: re.Pattern[str], address: str) -> bool:
    return len(address) <= _LONGEST and bool(pattern.match(address)) and "//" not in address and ".." not in address
