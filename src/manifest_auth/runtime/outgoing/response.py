"""What a provider answered, or that it did not, and the strict reading of its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from manifest_auth.text import strict_json


class Unreachable(Exception):
    """The provider could not be asked, or did not answer as a server does.

    The text is for the log: names of hosts and reasons, never a code, a token or a query.
    """


class NotPublic(Unreachable):
    """The name of ``host`` is unknown, or it leads to no address that may be called."""

    def __init__(self, text: str, host: str = "") -> None:
        super().__init__(text)
        self.host = host


class Reply(NamedTuple):
    """An answer. ``headers``: names in lower case, equal ones joined by commas."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any] | list[Any]:
        """The body, read by :func:`parse`. Raises ValueError."""
        return parse(self.body.removeprefix(b"\xef\xbb\xbf"))  # RFC 8259, section 8.1, lets us overlook a mark


def parse(raw: bytes) -> dict[str, Any] | list[Any]:
    """An object or a list, read by :mod:`...text.strict_json`; NUL may stand in its texts, which are
    cleaned before they are stored. Raises ValueError."""
    found = strict_json.read(raw, may_hold_nul=True)
    if not isinstance(found, dict | list):
        raise ValueError("neither an object nor a list")
    return found
