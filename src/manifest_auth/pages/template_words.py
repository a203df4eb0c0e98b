"""The functions ``_`` and ``ngettext`` that templates call for their words."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Protocol

from manifest_auth.text.languages import catalogue

if TYPE_CHECKING:
    from markupsafe import Markup

_KEPT = 4096  # more than all pages say


class Translate(Protocol):
    def __call__(self, message: str, /, **values: object) -> Markup: ...


class TranslateMany(Protocol):
    def __call__(self, singular: str, plural: str, count: int, /, **values: object) -> Markup: ...


@cache
def functions(language: str) -> tuple[Translate, TranslateMany]:
    """``_`` and ``ngettext`` of the language. Messages are constants and may hold markup; values are escaped.
    ``%(num)s`` is the count."""
    from markupsafe import Markup

    t = catalogue(language)

    @lru_cache(_KEPT)
    def constant(message: str) -> Markup:
        return Markup(t.gettext(message)) % {}  # noqa: S704 - a message of the catalogue

    def one(message: str, /, **values: object) -> Markup:
        return Markup(t.gettext(message)) % values if values else constant(message)  # noqa: S704 - as above

    def several(singular: str, plural: str, count: int, /, **values: object) -> Markup:
        return Markup(t.ngettext(singular, plural, count)) % {"num": count, **values}  # noqa: S704 - as above

    return one, several
