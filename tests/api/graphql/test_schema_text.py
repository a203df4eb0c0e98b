"""The GraphQL schema text is valid, because the server doesn't check it again when it starts."""

from __future__ import annotations

from graphql import GraphQLInputObjectType, GraphQLObjectType, parse
from graphql.validation.validate import validate_sdl

from manifest_auth.accounts import users
from manifest_auth.api.graphql.schema import SCHEMA, TEXT
from manifest_auth.text.fields import wire_name


def test_the_text_is_a_valid_schema() -> None:
    assert validate_sdl(parse(TEXT.read_text("utf-8"))) == []
    assert validate_sdl(parse(TEXT.read_text("utf-8") + "\ntype Job { id: Int! }"))  # the check detects errors


def test_the_fields_of_a_user_are_in_the_type_and_in_every_input() -> None:
    for name in ("User", "InviteUserInput", "AddUserInput", "UpdateUserInput"):
        kind = SCHEMA.type_map[name]
        assert isinstance(kind, GraphQLObjectType | GraphQLInputObjectType)
        assert [wire_name(field) for field in users.FIELDS if wire_name(field) not in kind.fields] == [], name
