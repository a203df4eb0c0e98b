"""A model with details has a member for each declared field, in its place."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, NamedTuple

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from manifest_auth.errors import ValidationError
from manifest_auth.text.fields import Details, Field, Input, declared_in, wire_name, with_details
from manifest_auth.text.models import convert, from_texts


class Row(NamedTuple):
    number: int
    full_name: Annotated[str, Field(5, 1)]
    place: Annotated[str, Field(5, 0)]
    note: str | None


DECLARED = declared_in(Row)


@with_details(DECLARED, Input.BODY)
class Body(msgspec.Struct, frozen=True, rename="camel"):
    """A request body."""

    MORE: ClassVar = 1

    number: int
    details: Details
    last_one: int = 0


@with_details(DECLARED, Input.CHANGE)
class Change(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    number: int | UnsetType = UNSET
    details: Details


@with_details(DECLARED, Input.FORM)
class Form(msgspec.Struct, frozen=True, rename="camel"):
    details: Details


@with_details(DECLARED)
class Shown(msgspec.Struct, frozen=True, rename="camel"):
    number: int
    details: Details


def test_fields_are_found_in_a_row_in_their_order() -> None:
    assert {"full_name": Field(5, 1), "place": Field(5, 0)} == DECLARED
    assert [wire_name(name) for name in DECLARED] == ["fullName", "place"]


def test_members_stand_where_the_details_were() -> None:
    body: Any = Body
    assert body.__struct_encode_fields__ == ("number", "fullName", "place", "lastOne")
    assert (body.__name__, body.__module__, body.__doc__, body.MORE) == ("Body", __name__, "A request body.", 1)
    shown: Any = Shown
    assert msgspec.json.encode(shown(1, "Ada", "here")) == b'{"number":1,"fullName":"Ada","place":"here"}'
    with pytest.raises(TypeError):
        shown(1, "Ada")


def test_details_are_those_that_were_given() -> None:
    assert convert({"number": 1, "fullName": "Ada"}, Body).details == {"full_name": "Ada", "place": ""}
    assert convert({"place": ""}, Change).details == {"place": ""}
    assert from_texts({"fullName": "much too long"}, Form).details == {"full_name": "much too long", "place": ""}


@pytest.mark.parametrize("model", [Body, Change])
def test_the_bounds_are_those_of_the_field(model: type[Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        convert({"number": 1, "fullName": "", "place": "x" * 6}, model)
    assert [name for name, _ in refused.value.details or ()] == ["fullName", "place"]
