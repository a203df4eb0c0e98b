"""The answer of a provider, errors for a missing answer, and the strict parser of its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from manifest_auth.text import strict_json


class Unreachable(Exception):
    """The provider could not be called, or its answer is invalid HTTP.

    The text is for the log: hosts and reasons, never a code, a token or a query.
    """


class NotPublic(Unreachable):
    """``host`` does not resolve, or resolves to no address that may be called."""

    def __init__(self, text: str, host: str = "") -> None:
        super().__init__(text)
        self.host = host


class Reply(NamedTuple):
    """An answer. ``headers``: names in lower case, repeated ones joined by commas."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any] | list[Any]:
        """The body, parsed by :func:`parse`. Raises ValueError."""
        # RFC 8259, section 8.1, allows ignoring a byte order mark.
        return parse(self.body.removeprefix(b"\xef\xbb\xbf"))


def parse(raw: bytes) -> dict[str, Any] | list[Any]:
    """An object or a list, parsed by :mod:`...text.strict_json`. Its texts may contain NUL; they are cleaned before
    they are stored. Raises ValueError."""
    found = strict_json.read(raw, may_hold_nul=True)
    if not isinstance(found, dict | list):
        raise ValueError("neither an object nor a list")
    return found
