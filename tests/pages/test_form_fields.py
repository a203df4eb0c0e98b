"""A form without a field, which no page sends but any program can, is read as if the user left the field empty."""

from __future__ import annotations

from typing import Any

import msgspec

from manifest_auth import app
from tests.support.matrix import matrix

#: Fields with another initial value, which their pages show.
_INITIAL = {"here", "scopes", "idTokenAlgorithm"}
#: Choices that a form without one makes. None of them grants, removes, or changes something.
_FIRST_STEPS = {"en", "otp", "password", "confirm", "begin", "add", "deny", "LAST_NAME"}
FORMS = list({route.form: None for route in app.page_routes() if route.form is not None})


@matrix("form", FORMS, ids=lambda form: form.__name__)
def test_a_field_that_is_not_sent_is_empty(form: type[msgspec.Struct]) -> None:
    told: Any = msgspec.convert({}, form)
    for field in msgspec.inspect.type_info(form).fields:  # type: ignore[attr-defined]  # of a struct
        value, kind = getattr(told, field.name), field.type
        if isinstance(kind, msgspec.inspect.Metadata):
            kind = kind.type
        if isinstance(kind, msgspec.inspect.LiteralType):
            assert value in {"", *_FIRST_STEPS}, field.name
        elif isinstance(kind, msgspec.inspect.StrType) and field.encode_name not in _INITIAL:
            assert value == "", field.name
