"""A finding of the doctor, with its level."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """``level``: ``ok``, ``note`` or ``bad``."""

    level: str
    text: str

    @property
    def area(self) -> str:
        """What it is about, in a word or two, as pages show it."""
        return _sentence(self.text.partition(": ")[0])

    @property
    def advice(self) -> str:
        """The rest of the text."""
        return _sentence(self.text.partition(": ")[2])


def _sentence(text: str) -> str:
    """With a capital letter, unless it begins with what is no word."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isalpha() else text


def ok(text: str) -> Finding:
    """Return that all is well."""
    return Finding("ok", text)


def note(text: str) -> Finding:
    """Return what can be better."""
    return Finding("note", text)


def bad(text: str) -> Finding:
    """Return what keeps the server from its work, or puts it at risk."""
    return Finding("bad", text)
