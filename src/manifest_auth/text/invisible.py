"""Invisible characters in names, which make two names look alike, or change the order of what is displayed.

Refused are the characters that the PRECIS FreeformClass (RFC 8264, section 4.3) and Unicode's security mechanisms (UTS
39) exclude as ignorable: zero-width characters, direction controls, fillers, tags. They are allowed only where writing
needs them: joiners where scripts require them (RFC 5892, appendix A) and within emoji, variation selectors after
characters that have variants, tags within the flag of a region.
"""

from __future__ import annotations

import re
import unicodedata

import idna

_NEAR = 20  # characters on each side that the rules of joiners check

# Default_Ignorable_Code_Point (Unicode, DerivedCoreProperties) with the line and paragraph separators, the marks of
# interlinear annotation, noncharacters, and the Braille pattern without dots.
_RANGES = (
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x2028, 0x202E), (0x2060, 0x206F), (0x2800, 0x2800), (0x3164, 0x3164), (0xFDD0, 0xFDEF),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
    *((plane << 16 | 0xFFFE, plane << 16 | 0xFFFF) for plane in range(17)),
)  # fmt: skip
_INVISIBLE = re.compile(f"[{''.join(f'{chr(low)}-{chr(high)}' for low, high in _RANGES)}]")
_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f")
_VARIANT = re.compile("[\ufe00-\ufe0d\U000e0100-\U000e01ef\u180b-\u180d\u180f]")  # of ideographs, Mongolian letters …
_JOINERS = "\u200c\u200d"
_EMOJI_STYLE = "\ufe0e\ufe0f"
#: Characters with an emoji form that are neither symbols nor pictures.
_BASES = frozenset("\u203c\u2049\u2139\u3030")
_KEYS = frozenset("#*0123456789")


def misplaced(text: str) -> list[int]:
    """The positions of invisible characters that are not allowed there."""
    if text.isascii():
        return []
    flags = [range(*found.span()) for found in _FLAG.finditer(text)]
    found = (match.start() for match in _INVISIBLE.finditer(text))
    return [
        position
        for position in found
        if not any(position in flag for flag in flags) and not _is_allowed(text, position)
    ]


def remove_misplaced(text: str) -> str:
    """The text without those characters."""
    while positions := set(misplaced(text)):
        text = "".join(c for position, c in enumerate(text) if position not in positions)
    return text


def holds_any(text: str) -> bool:
    """Whether the text has any invisible character, allowed or not."""
    return not text.isascii() and _INVISIBLE.search(text) is not None


def _is_allowed(text: str, position: int) -> bool:
    c, before, after = text[position], text[position - 1 : position], text[position + 1 : position + 2]
    if c in _JOINERS:
        start = max(0, position - _NEAR)
        near = text[start : position + _NEAR + 1]
        return _joins_emoji(text, position) or (bool(before) and idna.core.valid_contextj(near, position - start))
    if not before:
        return False
    if c in _EMOJI_STYLE:
        is_key = before in _KEYS and after == "\u20e3"
        return is_key or before in _BASES or unicodedata.category(before) in ("So", "Sm") or _is_emoji(before)
    if _VARIANT.match(c):
        return unicodedata.category(before) == "Lo" and not _INVISIBLE.match(before)
    return False


def _joins_emoji(text: str, position: int) -> bool:
    """Whether there is a zero-width joiner within an emoji sequence."""
    before = text[max(0, position - 3) : position].rstrip("\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
    after = text[position + 1 : position + 2]
    return text[position] == "\u200d" and _is_emoji(before[-1:]) and _is_emoji(after)


def _is_emoji(c: str) -> bool:
    """Whether it is an emoji. Those newer than this Python's tables are recognised by their Unicode block."""
    return bool(c) and (unicodedata.category(c) == "So" or "\U0001f000" <= c <= "\U0001fbff")
