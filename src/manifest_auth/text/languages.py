"""The languages of pages and e-mails, by their tags (RFC 5646), and the catalogues of their words.

A catalogue is read at its first use, and kept: about a millisecond for each language in the life of a process.
"""

from __future__ import annotations

import gettext
from functools import cache
from pathlib import Path
from typing import Literal, get_args

Language = Literal["en", "es", "pt", "de", "fr", "ja"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
#: What the readers of each language call it.
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
    """The words of one of the languages; those of English are the code's own."""
    if language == "en":
        return gettext.NullTranslations()
    with (FOLDER / f"{language}.mo").open("rb") as file:
        return gettext.GNUTranslations(file)


def marked(text: str) -> str:
    """Says that a text is translated where it is shown."""
    return text
