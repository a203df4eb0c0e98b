"""The schema's text is valid as it stands: each start takes that for granted."""

from __future__ import annotations

from graphql import parse
from graphql.validation.validate import validate_sdl

from manifest_auth.api.graphql.schema import TEXT


def test_the_text_is_a_valid_schema() -> None:
    assert validate_sdl(parse(TEXT.read_text("utf-8"))) == []
    assert validate_sdl(parse(TEXT.read_text("utf-8") + "\ntype Job { id: Int! }"))  # told apart from what is not
