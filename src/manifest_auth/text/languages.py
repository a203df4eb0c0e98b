"""Languages of pages and emails, by their tags (RFC 5646), and the catalogs of their messages.

A catalog is read at its first use and kept. Reading takes about a millisecond, once per process and language.
"""

from __future__ import annotations

import gettext
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from manifest_auth.errors import Marked

Language = Literal["en", "es", "pt", "de", "fr", "ja"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
#: The name of each language in that language.
NAMES: dict[Language, str] = {
    "en": "English",
    "es": "Español",
    "pt": "Português",
    "de": "Deutsch",
    "fr": "Français",
    "ja": "日本語",
}
Words = gettext.NullTranslations
FOLDER = Path(__file__).parent / "catalogues"


@cache
def catalogue(language: str) -> Words:
    """Returns the catalog of one of the languages; English messages are in the code itself."""
    if language == "en":
        return gettext.NullTranslations()
    with (FOLDER / f"{language}.mo").open("rb") as file:
        return gettext.GNUTranslations(file)


class MarkedText(str):
    """Text of the catalogs, in English. ``one``, ``many``: its messages; ``values``: the values of their ``%(name)s``,
    with ``number`` for a plural; they can be marked texts themselves."""

    __slots__ = ("many", "one", "values")

    def __new__(cls, one: str, many: str, values: Mapping[str, str | float], wire: str) -> MarkedText:
        english = (many if many and values["number"] != 1 else one) % values if values else one
        made = super().__new__(cls, wire or english)
        made.one, made.many, made.values = one, many, values
        return made

    one: str
    many: str
    values: Mapping[str, str | float]

    def having(self, **values: str | float) -> MarkedText:
        """Returns the text with values."""
        return MarkedText(self.one, self.many, values, "")


def marked(text: str, *, wire: str = "", **values: str | float) -> Marked:
    """Marks a text for the catalogs, under the name ``_``. ``values``: what it names as ``%(name)s``; ``wire``: the
    text that programs get instead."""
    return Marked(MarkedText(text, "", values, wire))


def several(one: str, many: str, number: int, *, wire: str = "", **values: str | float) -> Marked:
    """Marks a text that has a ``%(number)d``, as :func:`marked` does."""
    return Marked(MarkedText(one, many, {"number": number, **values}, wire))


def joined(texts: Iterable[str], between: str = ", ") -> str:
    """Joins the texts, each in the language of its reader; empty if there are none."""
    values = {f"part{number}": text for number, text in enumerate(texts)}
    return MarkedText(between.join(f"%({name})s" for name in values), "", values, "") if values else ""


_KEPT = "marked: "


def kept(text: str) -> str:
    """Returns a text for a column, which :func:`restored` converts back."""
    is_made = (isinstance(text, MarkedText) and text.values) or text.startswith(_KEPT)
    return f"{_KEPT}{json.dumps(_parts(text))}" if is_made else str(text)


def _parts(value: str | float) -> Any:
    if not isinstance(value, MarkedText):
        return value
    return [value.one, value.many, {name: _parts(one) for name, one in value.values.items()}]


def restored(stored: str) -> str:
    """Restores the text that :func:`kept` created; returns any other text unchanged, for the catalogs to translate."""
    made: str = _made(json.loads(stored.removeprefix(_KEPT))) if stored.startswith(_KEPT) else stored
    return made if isinstance(made, MarkedText) or not stored else MarkedText(made, "", {}, "")


def _made(parts: Any) -> Any:
    if not isinstance(parts, list):
        return parts
    one, many, values = parts
    return MarkedText(one, many, {name: _made(value) for name, value in values.items()}, "")


def shown(text: str, words: Words) -> str:
    """Returns the text in the language of the catalog; text that is not marked is unchanged."""
    if not isinstance(text, MarkedText):
        return words.gettext(text) if text else ""  # the empty message is the catalog's header
    found = words.ngettext(text.one, text.many, int(text.values["number"])) if text.many else words.gettext(text.one)
    if not text.values:
        return found
    return found % {
        name: shown(one, words) if isinstance(one, MarkedText) else one for name, one in text.values.items()
    }
