"""Converts parsed JSON and query parameters to wire models; a refusal names every invalid member."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from enum import Enum
from functools import cache
from operator import attrgetter
from types import TracebackType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    NamedTuple,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from msgspec import UNSET, UnsetType

from manifest_auth.errors import Marked, ValidationError
from manifest_auth.text.canonical import when
from manifest_auth.text.languages import marked as _
from manifest_auth.text.languages import several

REQUIRED: Final = _("Enter a value", wire="Required")
NO_SUCH_MEMBER: Final = "Unknown member"
_KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_TYPE = re.compile(r"Expected `([^`]+)`, got `([^`]+)`\Z")
_LENGTH = re.compile(r"Expected `(str|array|object)` of length (>=|<=) (\d+)\Z")
_BOUND = re.compile(r"Expected `(?:int|float)` (>=|<=) (-?[\d.]+)\Z")
_PATTERN = re.compile(r"Expected `str` matching regex '?(.*?)'?\Z", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `")
_ENUM = "Invalid enum value"


def told_plainly(message: str, types: Iterable[Any], *, strict: bool) -> str:
    """Returns the sentence for a message of msgspec. ``types``: the possible types of the value; ``strict``: the value
    is JSON with types that the caller chose, not text."""
    if found := _TYPE.match(message):
        wanted = " or ".join(_KINDS.get(one, one) for one in found[1].split(" | "))
        return f"Must be {wanted}, not {_KINDS.get(found[2], found[2])}" if strict else f"Must be {wanted}"
    if found := _LENGTH.match(message):
        kind, bound, number = found.groups()
        if kind == "str":
            return (at_least if bound == ">=" else at_most)(int(number))
        if (bound, number) == (">=", "1"):
            return _("Choose at least one", wire="Must have at least 1 item")
        return f"Must have {_AT[bound]} {number} item{'' if number == '1' else 's'}"
    if found := _BOUND.match(message):
        return f"Must be {found[2]} or {'more' if found[1] == '>=' else 'less'}"
    if found := _PATTERN.match(message):
        return f"Must match {found[1]}"
    if _MISSING.match(message):
        return REQUIRED
    if message.startswith(_ENUM) and (values := [str(one) for of in types for one in _choices(of) if one != ""]):
        return one_of(values)
    return message.replace("`", "")


_AT = {">=": "at least", "<=": "at most"}


def at_least(number: int) -> Marked:
    """Returns the sentence for text with fewer characters."""
    if number == 1:
        return _("Enter a value", wire="Must have at least 1 character")
    return several("Must have at least %(number)d character", "Must have at least %(number)d characters", number)


def at_most(number: int) -> Marked:
    """Returns the sentence for text with more characters."""
    return several("Must have at most %(number)d character", "Must have at most %(number)d characters", number)


def one_of(values: Iterable[str]) -> Marked:
    """Returns the sentence for a value that is none of these."""
    return _("Choose an option from the list", wire=f"Must be one of: {', '.join(values)}")


def _choices(of: Any) -> tuple[Any, ...]:
    if isinstance(of, type) and issubclass(of, Enum):
        return tuple(one.value for one in of)
    return get_args(of) if get_origin(of) is Literal else ()


def meant(name: str, members: Iterable[str]) -> str:
    """Returns the sentence for an unknown member that resembles a known one; empty if none does."""
    from difflib import get_close_matches

    near = get_close_matches(name, members, 1, 0.75)
    return f"{NO_SUCH_MEMBER}. Did you mean {near[0]}?" if near else ""


B = TypeVar("B")
#: Maximum number of invalid members that a refusal names; a body can have many more.
MOST = 20
#: Attribute of a model: members of the response that can be sent back, and change nothing.
READ_ONLY = "READ_ONLY"
#: Attribute of a model: what JSON Schema says about the object in addition to its members.
MORE_SCHEMA = "MORE_SCHEMA"
_MOST_ITEMS = 1000  # longer lists are not searched for invalid items
_LONGEST_NAME = 64


class _Member(NamedTuple):
    """A member of a model. ``model``: set if the value, or each item of it, is an object; ``item``: type of the items
    of a list."""

    type: Any
    required: bool
    model: type[msgspec.Struct] | None
    item: Any


def convert(value: Any, model: type[B], *, ignore_unknown: bool = False) -> B:
    """Converts a parsed body to the wire model, with strict types. ``ignore_unknown``: ignore members that the model
    does not know, instead of rejecting them. Raises ValidationError that names all invalid members, at most 20."""
    if not isinstance(value, dict):
        raise ValidationError("The body must be a JSON object")
    try:
        converted = msgspec.convert(value, model, strict=True)
    except msgspec.ValidationError as error:
        failed: msgspec.ValidationError | None = error
    else:
        failed = None
    found = _WrongMembers(strict=True)
    if failed is not None:
        found.wrong(value, model, "")
    if not ignore_unknown:
        found.unknown(value, model, "")
    if failed is not None or found.details:
        raise ValidationError(details=found.details or [_told(failed, model, strict=True)])
    return converted


def objects_of(model: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    """Returns the model and the models of all objects within it. :func:`convert` rejects unknown members in each."""
    found = [model]
    for one in found:
        found += [inner for member in _members(one).values() if (inner := member.model) and inner not in found]
    return found


def from_texts(values: dict[str, str], model: type[B]) -> B:
    """Converts query parameters or form fields from text to the wire model; unknown ones are ignored. Raises
    ValidationError as :func:`convert` does."""
    try:
        return msgspec.convert(values, model, strict=False)
    except msgspec.ValidationError as error:
        found = _WrongMembers(strict=False)
        found.wrong(values, model, "")
        raise ValidationError(details=found.details or [_told(error, model, strict=False)]) from None


class _WrongMembers:
    """The invalid members of one value, by path, with their errors."""

    def __init__(self, *, strict: bool) -> None:
        self.details: list[tuple[str, str]] = []
        self._strict = strict

    @property
    def _is_full(self) -> bool:
        return len(self.details) >= MOST

    def unknown(self, value: dict[str, Any], model: Any, under: str) -> None:
        """Finds the members that the model does not know."""
        members = _members(model)
        for name, given in value.items():
            if self._is_full:
                return
            member = members.get(name)
            if member is None and name not in getattr(model, READ_ONLY, ()):
                shown = name[:_LONGEST_NAME]
                self.details.append((f"{under}{shown}" or "body", meant(shown, members) or NO_SUCH_MEMBER))
            elif member is not None and member.model is not None:
                for path, part in _objects(given, f"{under}{name}"):
                    self.unknown(part, member.model, f"{path}.")

    def wrong(self, value: dict[str, Any], model: Any, under: str) -> None:
        """Finds the members that are missing, or have invalid values."""
        for name, member in _members(model).items():
            if self._is_full:
                return
            path = f"{under}{name}"
            if name not in value:
                if member.required:
                    self.details.append((path, REQUIRED))
            else:
                self._value(value[name], member, path)

    def _value(self, given: Any, member: _Member, path: str) -> None:
        before = len(self.details)
        if member.item is not None and isinstance(given, list) and len(given) <= _MOST_ITEMS:
            for number, one in enumerate(given):
                if self._is_full:
                    return
                self._value(one, _member(member.item, required=True), f"{path}[{number}]")
        elif member.model is not None and isinstance(given, dict):
            self.wrong(given, member.model, f"{path}.")
        if len(self.details) == before:
            try:
                msgspec.convert(given, member.type, strict=self._strict)
            except msgspec.ValidationError as error:
                self.details.append(_told(error, member.type, path, strict=self._strict))


def _objects(given: Any, path: str) -> list[tuple[str, dict[str, Any]]]:
    """Returns the object, or the objects of the list, with their paths."""
    if isinstance(given, dict):
        return [(path, given)]
    if not isinstance(given, list):
        return []
    return [(f"{path}[{number}]", one) for number, one in enumerate(given) if isinstance(one, dict)]


@cache
def _members(model: Any) -> dict[str, _Member]:
    return {one.encode_name: _member(one.type, required=one.required) for one in msgspec.structs.fields(model)}


def _member(of: Any, *, required: bool) -> _Member:
    for part in _parts(of):
        if isinstance(part, type) and issubclass(part, msgspec.Struct):
            return _Member(of, required, part, None)
        if get_origin(part) in (list, tuple) and (items := get_args(part)):
            return _Member(of, required, _member(items[0], required=True).model, items[0])
    return _Member(of, required, None, None)


def _parts(of: Any) -> list[Any]:
    """Returns the types that a value can have, without their annotations."""
    if get_origin(of) is Annotated:
        return _parts(get_args(of)[0])
    if get_origin(of) in (Union, UnionType):
        return [part for one in get_args(of) for part in _parts(one)]
    return [of]


def _told(error: msgspec.ValidationError | None, of: Any, path: str = "", *, strict: bool) -> tuple[str, str]:
    message, _, rest = str(error).partition(" - at `")
    within = rest.rstrip("`").removeprefix("$")
    field = f"{path}{within}".removeprefix(".")
    return field or "body", told_plainly(message, _parts(of), strict=strict)


class ErrorCollector:
    """Collects errors: ``with ErrorCollector() as each:`` around checks, and ``with each:`` around every one of them,
    which can be nested. Their refusals are raised at the end, as one ValidationError with the details of all, at most
    20; a single refusal is raised unchanged. Any other exception is raised immediately.

    Code after a rejected check in its own ``with each:`` is not run.
    """

    def __init__(self) -> None:
        self._refused: list[ValidationError] = []
        self._depth = 0

    def __enter__(self) -> Self:
        self._depth += 1
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> bool:
        self._depth -= 1
        if isinstance(error, ValidationError):
            self._refused.append(error)
        elif error is not None:
            return False
        if not self._depth:
            self._raise()
        return isinstance(error, ValidationError)

    def _raise(self) -> None:
        if len(self._refused) == 1:
            raise self._refused[0]
        if self._refused:
            details = [one for error in self._refused for one in error.details or (("body", error.message),)]
            raise ValidationError(details=list(dict.fromkeys(details))[:MOST])


D = TypeVar("D")

#: A time as text. :meth:`Wire.of` converts it from the milliseconds of a row.
Time = Annotated[str, "milliseconds"]


def or_none(value: D | UnsetType) -> D | None:
    """Returns the member of a body; None if it was omitted."""
    return None if value is UNSET else value


class Wire(msgspec.Struct, frozen=True, rename="camel"):
    """Members of a response in their order on the wire, where names are camelCase."""

    @classmethod
    def of(cls, row: object, **others: Any) -> Self:
        """Fills the model from a row by member names, and converts times and flags. ``others``: members that the row
        does not have, or has in another form; members with a default never come from the row."""
        names, read, converters = _reader(cls, tuple(others))
        others.update(zip(names, read(row), strict=True))
        for name, convert in converters:
            if others[name] is not None:
                others[name] = convert(others[name])
        return cls(**others)

    @classmethod
    def of_columns(cls, columns: Iterable[Any]) -> Self:
        """Fills the model from a statement's row with the members as columns in their order, converted as by
        :meth:`of`."""
        values = list(columns)
        for place, convert in _column_converters(cls):
            if values[place] is not None:
                values[place] = convert(values[place])
        return cls(*values)


class TopLevelTokens(Wire, frozen=True):
    """Members that the response to a refresh has next to ``data``, because existing programs read them there."""

    token: str
    refresh_token: str


class Items(Wire, Generic[D], frozen=True):
    """A page of a list."""

    items: tuple[D, ...]
    next_cursor: str | None


@cache
def items_of(item: type, name: str = "") -> type[msgspec.Struct]:
    """Returns ``Items[KeyData]`` as its own model, named for OpenAPI: ``KeysData``, unless it has another name."""
    noun = item.__name__.removeprefix("Wire").removesuffix("Data")
    plural = f"{noun[:-1]}ies" if re.search("[^aeiou]y$", noun) else f"{noun}s"
    members = [("items", tuple[item, ...]), ("next_cursor", str | None)]  # type: ignore[valid-type]
    return msgspec.defstruct(name or f"{plural}Data", members, bases=(Wire,), rename="camel", frozen=True)


@cache
def _reader(
    model: type[Wire], supplied: tuple[str, ...]
) -> tuple[list[str], Callable[[object], tuple[Any, ...]], list[tuple[str, Callable[[Any], Any]]]]:
    """Returns the members that come from a row, a function that reads them, and converters for some of them: times, and
    flags, which SQLite stores as numbers."""
    hints = get_type_hints(model, include_extras=True)
    required = model.__struct_fields__[: len(model.__struct_fields__) - len(model.__struct_defaults__)]
    names = [name for name in required if name not in supplied]
    read = attrgetter(*names) if len(names) > 1 else lambda row: tuple(getattr(row, name) for name in names)
    return names, read, [(name, convert) for name in names if (convert := _converter(hints[name]))]


@cache
def _column_converters(model: type[Wire]) -> list[tuple[int, Callable[[Any], Any]]]:
    hints = get_type_hints(model, include_extras=True)
    return [(place, made) for place, name in enumerate(model.__struct_fields__) if (made := _converter(hints[name]))]


def _converter(kind: Any) -> Callable[[Any], Any] | None:
    if kind == Time or Time in get_args(kind):
        return when
    return bool if kind is bool else None


#: Control characters that text for people never has, and the ones that text with several lines can have.
CONTROLS: Final = r"\u0000-\u001f\u007f-\u009f"
BUT_LINES: Final = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"
#: A rule for every text, because the databases do not accept NUL.
NO_NUL: Final = {"pattern": r"^[^\u0000]*$"}

#: Characters of web addresses, see text/canonical.py.
_OF_ADDRESSES = r"!$&-;=?@A-Z\[\]_a-z~%"
#: Loopback hosts.
_HERE = r"(?:localhost|[a-z0-9.-]+\.localhost|127(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}|\[::1\])"
#: An address of a page or of an app's own scheme, as far as a pattern can express it.
RETURN_ADDRESS: Final = {
    "pattern": rf"^(?:(?:https://[A-Za-z0-9\[]|http://{_HERE}[:/?]?)[{_OF_ADDRESSES}]*|[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:[{_OF_ADDRESSES}]*)$"
}
#: An origin, except for the range of its port; ``http`` is only for this machine.
ORIGIN: Final = {"pattern": rf"^(?:https://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])|http://{_HERE})(?::[1-9][0-9]{{0,4}})?$"}

#: For a list: the value of ``nextCursor``.
CURSOR: Final = {"pattern": "^[A-Za-z0-9_-]*$"}
_DATE = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2}(?:\.[0-9]{1,6})?"
#: A date or a time of RFC 3339, or nothing.
TIME: Final = {"pattern": rf"^(?:{_DATE}(?:T{_CLOCK}(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?)?)?$"}
#: Base64 in lines.
BASE64: Final = {"pattern": r"^(?:[A-Za-z0-9+/]{4}[\r\n]*)*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?[\r\n]*$"}
#: A slug (text/canonical.py) that is not a number.
IDENTIFIER: Final = {"pattern": "^(?:[0-9]*[a-z](?:[a-z0-9-]*[a-z0-9])?|[0-9]+-[a-z0-9-]*[a-z0-9])$"}
GUID_IN_ANY_CASE: Final = {"pattern": "^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"}


_LENGTHS = re.compile(r"\(\?=\.\{(\d+),(\d+)\}\\Z\)")


def matching(pattern: re.Pattern[str], *, empty: bool = False) -> dict[str, Any]:
    """Describes, without checking, a text that matches from its first to its last character, or with ``empty`` none. A
    look-ahead at the start that limits the length becomes bounds of the schema."""
    fits, found = pattern.pattern.removesuffix(r"\Z"), _LENGTHS.match(pattern.pattern)
    bounds = {"minLength": int(found[1]), "maxLength": int(found[2])} if found else {}
    return {"pattern": f"^(?:{fits[found.end() if found else 0 :]}){'?' if empty else ''}$", **bounds}


def one_of_texts(*values: str) -> dict[str, Any]:
    """Describes one of these texts."""
    return {"type": "string", "enum": list(values)}


# Uses only ``not``, because client generators turn an object with ``oneOf`` or ``anyOf`` into a union, and lose its
# members.


def at_most_one(*members: str) -> dict[str, Any]:
    """Describes an object with at most one of these members."""
    return none_of(*_pairs(members))


def exactly_one(*members: str) -> dict[str, Any]:
    """Describes an object with exactly one of these members."""
    return none_of(*_pairs(members), none_of(*(having(member) for member in members)))


def none_of(*schemas: dict[str, Any]) -> dict[str, Any]:
    """Describes a value that matches none of these schemas."""
    return {"not": {"anyOf": list(schemas)} if len(schemas) > 1 else schemas[0]}


def having(*members: str) -> dict[str, Any]:
    """Describes an object with all of these members. It names them, because linters reject a required member that
    nothing describes."""
    return {"required": list(members), "properties": {member: {} for member in members}}


def _pairs(members: tuple[str, ...]) -> list[dict[str, Any]]:
    return [having(*pair) for pair in itertools.combinations(members, 2)]
