"""Addresses made of the routes' patterns, for tests that walk through all routes."""

from __future__ import annotations

import re

#: Values that can be something and are nothing.
_NOWHERE = {"client": "nowhere", "id": "A" * 22, "provider": "no-such-provider"}


def filled(pattern: str, **values: object) -> str:
    """The address of a pattern; what ``values`` do not name exists nowhere, or is number 1."""
    return re.sub(r"{(\w+)}", lambda found: str(values.get(found[1], _NOWHERE.get(found[1], "1"))), pattern)
