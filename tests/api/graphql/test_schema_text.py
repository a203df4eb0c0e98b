"""The GraphQL schema text is valid: the server does not check it again at its start."""

from __future__ import annotations

from graphql import parse
from graphql.validation.validate import validate_sdl

from manifest_auth.api.graphql.schema import TEXT


def test_the_text_is_a_valid_schema() -> None:
    assert validate_sdl(parse(TEXT.read_text("utf-8"))) == []
    assert validate_sdl(parse(TEXT.read_text("utf-8") + "\ntype Job { id: Int! }"))  # told apart from what is not
