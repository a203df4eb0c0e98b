"""Codes that people read and type: letters without vowels, and without those that look alike."""

from __future__ import annotations

from collections.abc import Callable

#: No vowels, so no words; no letters that look alike. One is worth 4.3 bits.
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"


def letters(random: Callable[[int], bytes], count: int) -> str:
    """So many random letters, all equally likely: bytes above the last full round of the alphabet are skipped.
    ``random``: gives so many random bytes."""
    found = ""
    while len(found) < count:
        byte = random(1)[0]
        if byte < 256 - 256 % len(ALPHABET):
            found += ALPHABET[byte % len(ALPHABET)]
    return found


def plain(typed: str) -> str:
    """What was typed, without hyphens and blanks, in upper case."""
    return typed.replace("-", "").replace(" ", "").upper()


def grouped(code: str, size: int = 4) -> str:
    """The code with hyphens, for reading."""
    return "-".join(code[at : at + size] for at in range(0, len(code), size))
