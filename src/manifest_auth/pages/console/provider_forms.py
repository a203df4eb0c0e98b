"""Between the texts of a provider's form and the members of a body."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from manifest_auth.pages.console.provider_fields import FIELDS, Field

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

if TYPE_CHECKING:

    class TheirsForm(msgspec.Struct, frozen=True):
        """All fields of all kinds, each a text; empty: not filled in."""

        preset: str = ""
        name: str = ""
        displayName: str = ""
else:
    _NAMES = {field.attribute: field.path for fields in FIELDS.values() for field in fields}
    TheirsForm = msgspec.defstruct(
        "TheirsForm",
        [("preset", str, ""), ("name", str, ""), ("displayName", str, ""), *((name, str, "") for name in _NAMES)],
        rename=_NAMES,
        frozen=True,
        module=__name__,
    )


class Shown(NamedTuple):
    """A field as the template shows it. ``is_kept``: a secret that is stored, and is not shown."""

    field: Field
    value: str
    is_kept: bool = False


def body_of(kind: str, form: TheirsForm, metadata: str = "") -> dict[str, Any]:
    """The members of a body that the form gives. Left out: empty secrets, and what metadata gives in place of fields.
    ``metadata``: fetched, in place of what was pasted."""
    given = {field.path: getattr(form, field.attribute) for field in FIELDS[kind]}
    if metadata:
        given["saml.metadata"] = metadata
    has_metadata = bool(given.get("saml.metadata", "").strip())
    members: dict[str, Any] = {}
    for field in FIELDS[kind]:
        text = given[field.path]
        is_empty = field.input in ("secret", "prose") and not text.strip()
        if not (is_empty or field.is_asked_only or (field.is_imported and has_metadata)):
            _put(members, field.path, _member(field, text))
    return members


def shown(kind: str, values: Mapping[str, Any], *, has_secret: bool) -> tuple[Shown, ...]:
    """The fields with the members that are stored. ``values``: of a body."""
    found = []
    for field in FIELDS[kind]:
        value = _text(field, _get(values, field.path))
        found.append(Shown(field, value, field.input == "secret" and has_secret))
    return tuple(found)


def shown_again(kind: str, form: TheirsForm, *, has_secret: bool) -> tuple[Shown, ...]:
    """The fields as they were typed; never a secret."""
    return tuple(
        Shown(field, "", has_secret) if field.input == "secret" else Shown(field, getattr(form, field.attribute))
        for field in FIELDS[kind]
    )


def _member(field: Field, text: str) -> Any:
    if field.input == "flag":
        return bool(text)
    if field.input == "lines":
        return [line.strip() for line in text.splitlines() if line.strip()]
    if field.input == "words":
        return text.split()
    if field.input == "certificates":
        return list(_certificates(text))
    return text if field.input == "prose" else text.strip()


def _certificates(text: str) -> Iterator[str]:
    """PEM blocks, and else a certificate in each line."""
    yield from _PEM.findall(text)
    yield from (line.strip() for line in _PEM.sub("", text).splitlines() if line.strip())


def _text(field: Field, value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else ""
    if isinstance(value, list | tuple):
        return (" " if field.input == "words" else "\n").join(value)
    return value if isinstance(value, str) else ""


def _put(members: dict[str, Any], path: str, value: Any) -> None:
    first, _, rest = path.partition(".")
    if rest:
        _put(members.setdefault(first, {}), rest, value)
    else:
        members[first] = value


def _get(members: Mapping[str, Any], path: str) -> Any:
    first, _, rest = path.partition(".")
    found = members.get(first)
    return _get(found, rest) if rest and isinstance(found, Mapping) else found
