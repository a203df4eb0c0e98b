"""Issues that need attention, on the first screen of both consoles."""

from __future__ import annotations

import msgspec


class Concern(msgspec.Struct, frozen=True):
    """Something to settle. ``is_bad``: people are or will be kept out by it; ``href``: where it is settled, empty: not
    on these pages; ``link``: the text of that link; ``until``: milliseconds, 0 for none."""

    is_bad: bool
    title: str
    advice: str
    href: str = ""
    link: str = "Look"
    until: int = 0
