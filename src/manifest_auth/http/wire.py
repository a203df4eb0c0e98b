"""What answers are made of: structs that the encoder writes and OpenAPI describes, so that the two cannot differ."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Generic, Self, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

from manifest_auth.text.canonical import when

D = TypeVar("D")

#: A moment as text. :meth:`Wire.of` makes it of the milliseconds that a row has.
Time = Annotated[str, "milliseconds"]


def given(value: D | UnsetType) -> D | None:
    """A member of a body; None where it was left out."""
    return None if value is UNSET else value


class Wire(msgspec.Struct, frozen=True, rename="camel"):
    """Members of an answer in their order on the wire, where names are camelCase."""

    @classmethod
    def of(cls, row: object, **others: Any) -> Self:
        """Filled from a row by name, times and flags in the form of the wire. ``others``: members that the row does not
        have, or has in another form; those with a default are never looked for in the row."""
        for name, shown in _read_from_rows(cls):
            if name not in others:
                value = getattr(row, name)
                others[name] = value if shown is None or value is None else shown(value)
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
def _read_from_rows(model: type[Wire]) -> tuple[tuple[str, Callable[[Any], Any] | None], ...]:
    """The members without a default, and what brings a row's value into the form of the wire: SQLite has numbers for
    flags."""
    hints = get_type_hints(model, include_extras=True)
    required = model.__struct_fields__[: len(model.__struct_fields__) - len(model.__struct_defaults__)]
    return tuple((name, _shown(hints[name])) for name in required)


def _shown(kind: Any) -> Callable[[Any], Any] | None:
    if kind == Time or Time in get_args(kind):
        return when
    return bool if kind is bool else None
