"""Characters that nobody sees, in names: with them two names look alike, or read in another order than is written.

Refused is what the PRECIS FreeformClass (RFC 8264, section 4.3) and Unicode's security mechanisms (UTS 39) leave out as
ignorable: zero width characters, controls of direction, fillers, tags. Where people need one it may stand, and nowhere
else: joiners where scripts ask for them (RFC 5892, appendix A) and within emoji, variation selectors behind the
characters that have variants, tags within the flag of a region.
"""

from __future__ import annotations

import re
import unicodedata

import idna

_NEAR = 20  # characters that the rules of joiners look at, either way

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
    """Where in the text invisible characters stand that have no business there."""
    if text.isascii():
        return []
    flags = [range(*found.span()) for found in _FLAG.finditer(text)]
    found = (match.start() for match in _INVISIBLE.finditer(text))
    return [place for place in found if not any(place in flag for flag in flags) and not _belongs(text, place)]


def without(text: str) -> str:
    """The text without them."""
    while places := set(misplaced(text)):
        text = "".join(c for place, c in enumerate(text) if place not in places)
    return text


def holds_any(text: str) -> bool:
    """Whether there is any at all, wherever it stands."""
    return not text.isascii() and _INVISIBLE.search(text) is not None


def _belongs(text: str, place: int) -> bool:
    c, before, behind = text[place], text[place - 1 : place], text[place + 1 : place + 2]
    if c in _JOINERS:
        start = max(0, place - _NEAR)
        near = text[start : place + _NEAR + 1]
        return _joins_pictures(text, place) or (bool(before) and idna.core.valid_contextj(near, place - start))
    if not before:
        return False
    if c in _EMOJI_STYLE:
        is_key = before in _KEYS and behind == "\u20e3"
        return is_key or before in _BASES or unicodedata.category(before) in ("So", "Sm") or _is_picture(before)
    if _VARIANT.match(c):
        return unicodedata.category(before) == "Lo" and not _INVISIBLE.match(before)
    return False


def _joins_pictures(text: str, place: int) -> bool:
    """Whether it is a zero width joiner within an emoji, like the one of a scientist."""
    before = text[max(0, place - 3) : place].rstrip("\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
    behind = text[place + 1 : place + 2]
    return text[place] == "\u200d" and _is_picture(before[-1:]) and _is_picture(behind)


def _is_picture(c: str) -> bool:
    """Newer pictures than this Python knows of are in blocks that hold nothing else."""
    return bool(c) and (unicodedata.category(c) == "So" or "\U0001f000" <= c <= "\U0001fbff")
