"""Base classes of wire models: structs that the encoder writes and OpenAPI describes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, Generic, Self, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

from manifest_auth.text.canonical import when

D = TypeVar("D")

#: A time as text. :meth:`Wire.of` converts it from the milliseconds of a row.
Time = Annotated[str, "milliseconds"]


def or_none(value: D | UnsetType) -> D | None:
    """The member of a body; None when it was left out."""
    return None if value is UNSET else value


class Wire(msgspec.Struct, frozen=True, rename="camel"):
    """Members of an answer in their order on the wire; names there are camelCase."""

    @classmethod
    def of(cls, row: object, **others: Any) -> Self:
        """The model filled from a row by member names; times and flags are converted. ``others``: members that the row
        does not have, or has in another form; members with a default never come from the row."""
        names, read, converters = _reader(cls, tuple(others))
        others.update(zip(names, read(row), strict=True))
        for name, convert in converters:
            if others[name] is not None:
                others[name] = convert(others[name])
        return cls(**others)


class TopLevelTokens(Wire, frozen=True):
    """Members that the answer to a refresh has next to ``data``, for existing programs that read them there."""

    token: str
    refresh_token: str


class Items(Wire, Generic[D], frozen=True):
    """A page of a list."""

    items: tuple[D, ...]
    next_cursor: str | None


@cache
def items_of(item: type, name: str = "") -> type[msgspec.Struct]:
    """``Items[KeyData]`` as a model of its own, named for OpenAPI: ``KeysData``, unless it has another name."""
    noun = item.__name__.removeprefix("Wire").removesuffix("Data")
    plural = f"{noun[:-1]}ies" if re.search("[^aeiou]y$", noun) else f"{noun}s"
    members = [("items", tuple[item, ...]), ("next_cursor", str | None)]  # type: ignore[valid-type]
    return msgspec.defstruct(name or f"{plural}Data", members, bases=(Wire,), rename="camel", frozen=True)


@cache
def _reader(
    model: type[Wire], supplied: tuple[str, ...]
) -> tuple[list[str], Callable[[object], tuple[Any, ...]], list[tuple[str, Callable[[Any], Any]]]]:
    """The members that come from a row, a function that reads them, and converters for some of them: of times, and of
    flags, which SQLite stores as numbers."""
    hints = get_type_hints(model, include_extras=True)
    required = model.__struct_fields__[: len(model.__struct_fields__) - len(model.__struct_defaults__)]
    names = [name for name in required if name not in supplied]
    read = attrgetter(*names) if len(names) > 1 else lambda row: tuple(getattr(row, name) for name in names)
    return names, read, [(name, convert) for name in names if (convert := _converter(hints[name]))]


def _converter(kind: Any) -> Callable[[Any], Any] | None:
    if kind == Time or Time in get_args(kind):
        return when
    return bool if kind is bool else None
