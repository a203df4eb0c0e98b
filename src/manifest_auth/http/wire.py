"""What answers are made of: structs that the encoder writes and OpenAPI describes, so that the two cannot differ."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, Generic, Self, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

from manifest_auth.text.canonical import when

D = TypeVar("D")

#: A moment as text. :meth:`Wire.of` makes it of the milliseconds that a row has.
Time = Annotated[str, "milliseconds"]


def or_none(value: D | UnsetType) -> D | None:
    """A member of a body; None where it was left out."""
    return None if value is UNSET else value


class Wire(msgspec.Struct, frozen=True, rename="camel"):
    """Members of an answer in their order on the wire, where names are camelCase."""

    @classmethod
    def of(cls, row: object, **others: Any) -> Self:
        """Filled from a row by name, times and flags in the form of the wire. ``others``: members that the row does not
        have, or has in another form; those with a default are never looked for in the row."""
        names, read, shown = _reader(cls, tuple(others))
        others.update(zip(names, read(row), strict=True))
        for name, show in shown:
            if others[name] is not None:
                others[name] = show(others[name])
        return cls(**others)


class TokensBeside(Wire, frozen=True):
    """Members that a refresh has next to ``data``, so that the seed page's own client runs unmodified (contract,
    section 3)."""

    token: str
    refresh_token: str


class Items(Wire, Generic[D], frozen=True):
    """A page of a list."""

    items: tuple[D, ...]
    next_cursor: str | None


@cache
def _reader(
    model: type[Wire], or_none: tuple[str, ...]
) -> tuple[list[str], Callable[[object], tuple[Any, ...]], list[tuple[str, Callable[[Any], Any]]]]:
    """The members that come from a row, what reads them, and what brings some of them into the form of the wire: SQLite
    has numbers for flags."""
    hints = get_type_hints(model, include_extras=True)
    required = model.__struct_fields__[: len(model.__struct_fields__) - len(model.__struct_defaults__)]
    names = [name for name in required if name not in or_none]
    read = attrgetter(*names) if len(names) > 1 else lambda row: tuple(getattr(row, name) for name in names)
    return names, read, [(name, show) for name in names if (show := _shown(hints[name]))]


def _shown(kind: Any) -> Callable[[Any], Any] | None:
    if kind == Time or Time in get_args(kind):
        return when
    return bool if kind is bool else None
