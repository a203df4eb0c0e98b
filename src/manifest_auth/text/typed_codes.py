"""Codes of letters that people type: no vowels, so no words; no letters that look alike; any case, hyphens ignored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: 20 letters: each is 4.3 bits.
ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"


def make(random: Callable[[int], bytes], length: int) -> str:
    """A new code. ``random``: random bytes, so many."""
    return "".join(_letter(random) for _ in range(length))


def grouped(code: str, size: int) -> str:
    """The code as people read it, with hyphens."""
    return "-".join(code[at : at + size] for at in range(0, len(code), size))


def normal(typed: str) -> str:
    """What was typed, as :func:`make` wrote it."""
    return typed.replace("-", "").replace(" ", "").upper()


def _letter(random: Callable[[int], bytes]) -> str:
    """A random letter, all equally likely: bytes above the last full round of the alphabet are skipped."""
    while (byte := random(1)[0]) >= 256 - 256 % len(ALPHABET):
        pass
    return ALPHABET[byte % len(ALPHABET)]
