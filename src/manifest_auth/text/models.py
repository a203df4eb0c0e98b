"""Converts parsed JSON and query parameters to wire models; a refusal names every member that is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from functools import cache
from types import TracebackType, UnionType
from typing import Annotated, Any, Final, Literal, NamedTuple, Self, TypeVar, Union, get_args, get_origin

import msgspec

from manifest_auth.errors import Marked, ValidationError
from manifest_auth.text.languages import marked as _
from manifest_auth.text.languages import several

# Plain words for what is wrong with a member of a body or a parameter, in place of the decoder's.


REQUIRED: Final = _("Required")
NO_SUCH_MEMBER: Final = "There is no such member"
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
    """The sentence for a message of msgspec. ``types``: those that the value may have; ``strict``: the value is JSON,
    whose types the caller chose, and not text."""
    if found := _TYPE.match(message):
        wanted = " or ".join(_KINDS.get(one, one) for one in found[1].split(" | "))
        return f"Must be {wanted}, not {_KINDS.get(found[2], found[2])}" if strict else f"Must be {wanted}"
    if found := _LENGTH.match(message):
        kind, bound, number = found.groups()
        if kind == "str":
            return (at_least if bound == ">=" else at_most)(int(number))
        if (bound, number) == (">=", "1"):
            return _("Required", wire="Must have at least 1 item")
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
    """The sentence for a text with fewer characters."""
    if number == 1:
        return _("Required", wire="Must have at least 1 character")
    return several("Must have at least %(number)d character", "Must have at least %(number)d characters", number)


def at_most(number: int) -> Marked:
    """The sentence for a text with more characters."""
    return several("Must have at most %(number)d character", "Must have at most %(number)d characters", number)


def one_of(values: Iterable[str]) -> Marked:
    """The sentence for a value that is none of these."""
    wire = f"Must be one of: {', '.join(values)}"
    return _("Choose one of the list", wire=wire)


def _choices(of: Any) -> tuple[Any, ...]:
    if isinstance(of, type) and issubclass(of, Enum):
        return tuple(one.value for one in of)
    return get_args(of) if get_origin(of) is Literal else ()


def meant(name: str, members: Iterable[str]) -> str:
    """The sentence for an unknown member that is nearly a known one; empty where none is near."""
    from difflib import get_close_matches

    near = get_close_matches(name, members, 1, 0.75)
    return f"{NO_SUCH_MEMBER}; {near[0]} may be meant" if near else ""


B = TypeVar("B")
#: Of so many wrong members a refusal tells; a body may have many more.
MOST = 20
#: Attribute of a model: members of the answer that may be sent back, and change nothing.
READ_ONLY = "READ_ONLY"
#: Attribute of a model: what JSON Schema says of the object beside its members.
MORE_SCHEMA = "MORE_SCHEMA"
_MOST_ITEMS = 1000  # in longer lists, the wrong items are not looked for
_LONGEST_NAME = 64


class _Member(NamedTuple):
    """``model``: where the value, or each item of it, is an object; ``item``: type of the items of a list."""

    type: Any
    required: bool
    model: type[msgspec.Struct] | None
    item: Any


def convert(value: Any, model: type[B], *, ignore_unknown: bool = False) -> B:
    """The wire model of a parsed body, with strict types. ``ignore_unknown``: members that the model does not know are
    ignored, instead of refused. Raises ValidationError that names all members that are wrong, 20 at most."""
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
    """The model and those of all objects within it: in each, :func:`convert` refuses members that it does not know."""
    found = [model]
    for one in found:
        found += [inner for member in _members(one).values() if (inner := member.model) and inner not in found]
    return found


def from_texts(values: dict[str, str], model: type[B]) -> B:
    """The wire model of query parameters or of a form, converted from text; unknown ones are ignored. Raises
    ValidationError as :func:`convert`."""
    try:
        return msgspec.convert(values, model, strict=False)
    except msgspec.ValidationError as error:
        found = _WrongMembers(strict=False)
        found.wrong(values, model, "")
        raise ValidationError(details=found.details or [_told(error, model, strict=False)]) from None


class _WrongMembers:
    """The wrong members of one value: by path, and what is wrong."""

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
        """Finds the members that are missing, or whose values do not fit."""
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
    """The object, or the objects of the list, with their paths."""
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
    """The types of which a value may be, without what is noted about them."""
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
    """``with ErrorCollector() as each:`` around checks, and ``with each:`` around every one of them, which may be
    within another one. What they refuse is raised at the end, as one ValidationError with the details of all, 20 at
    most; a single refusal is raised as it is. Any other exception goes through at once.

    What comes after a refused check in its own ``with each:`` is not run.
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
