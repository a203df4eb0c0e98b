"""The languages of pages and e-mails, by their tags (RFC 5646)."""

from __future__ import annotations

from typing import Literal, get_args

Language = Literal["en", "es", "pt", "de", "fr", "ja"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
