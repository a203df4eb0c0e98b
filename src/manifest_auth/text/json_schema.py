"""JSON Schemas of texts that functions check, for the description of bodies and parameters.

They check nothing: the functions say in plain words what is wrong, and know more than a pattern does.
"""

from __future__ import annotations

import itertools
import re
from typing import Any, Final

#: Controls that no text has which people read, and those of them that a text of several lines has.
CONTROLS: Final = r"\u0000-\u001f\u007f-\u009f"
BUT_LINES: Final = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f"
#: Of every text: stores know no NUL.
NO_NUL: Final = {"pattern": r"^[^\u0000]*$"}

#: Characters of web addresses, see text/canonical.py.
_OF_ADDRESSES = r"!$&-;=?@A-Z\[\]_a-z~%"
#: Loopback hosts.
_HERE = r"(?:localhost|[a-z0-9.-]+\.localhost|127(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}|\[::1\])"
#: An address of a page or of an app's own scheme, as far as a pattern says it.
RETURN_ADDRESS: Final = {
    "pattern": rf"^(?:(?:https://[A-Za-z0-9\[]|http://{_HERE}[:/?]?)[{_OF_ADDRESSES}]*|[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:[{_OF_ADDRESSES}]*)$"
}
#: An origin, but for the range of its port: ``http`` is for this machine alone.
ORIGIN: Final = {"pattern": rf"^(?:https://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])|http://{_HERE})(?::[1-9][0-9]{{0,4}})?$"}

#: Of a list: what ``nextCursor`` was.
CURSOR: Final = {"pattern": "^[A-Za-z0-9_-]*$"}
_DATE = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2}(?:\.[0-9]{1,6})?"
#: A date or a time of RFC 3339, or none.
TIME: Final = {"pattern": rf"^(?:{_DATE}(?:T{_CLOCK}(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?)?)?$"}
#: Base64 in lines.
BASE64: Final = {
    "pattern": r"^(?:[A-Za-z0-9+/]{4}[\r\n]*)*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?[\r\n]*$",
}
#: A slug (text/canonical.py) that is no number.
IDENTIFIER: Final = {"pattern": "^(?:[0-9]*[a-z](?:[a-z0-9-]*[a-z0-9])?|[0-9]+-[a-z0-9-]*[a-z0-9])$"}
GUID_IN_ANY_CASE: Final = {"pattern": "^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"}


_LENGTHS = re.compile(r"\(\?=\.\{(\d+),(\d+)\}\\Z\)")


def matching(pattern: re.Pattern[str], *, empty: bool = False) -> dict[str, Any]:
    """A text that fits from its first character to the last. ``empty``: or none. A look-ahead at the start that bounds
    the length becomes bounds of the schema."""
    fits, found = pattern.pattern.removesuffix(r"\Z"), _LENGTHS.match(pattern.pattern)
    bounds = {"minLength": int(found[1]), "maxLength": int(found[2])} if found else {}
    return {"pattern": f"^(?:{fits[found.end() if found else 0 :]}){'?' if empty else ''}$", **bounds}


def one_of(*values: str) -> dict[str, Any]:
    """One of these texts."""
    return {"type": "string", "enum": list(values)}


# By ``not`` alone: generators of clients make a union of an object with ``oneOf`` or ``anyOf``, and lose its members.


def at_most_one(*members: str) -> dict[str, Any]:
    """An object with one of these members or none."""
    return none_of(*_pairs(members))


def exactly_one(*members: str) -> dict[str, Any]:
    """An object with one of these members."""
    return none_of(*_pairs(members), none_of(*(having(member) for member in members)))


def none_of(*schemas: dict[str, Any]) -> dict[str, Any]:
    """What fits none of these schemas."""
    return {"not": {"anyOf": list(schemas)} if len(schemas) > 1 else schemas[0]}


def having(*members: str) -> dict[str, Any]:
    """An object with all of these members. It names them: linters refuse a required member that nothing describes."""
    return {"required": list(members), "properties": {member: {} for member in members}}


def _pairs(members: tuple[str, ...]) -> list[dict[str, Any]]:
    return [having(*pair) for pair in itertools.combinations(members, 2)]
