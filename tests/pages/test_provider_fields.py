"""The fields of a provider's form are derived from the settings of its kind."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from manifest_auth.pages.console.provider_kinds import FIELDS, following
from manifest_auth.providers import KindSettings
from manifest_auth.sign_in.providers.kind import Kind
from manifest_auth.sign_in.providers.kinds import KINDS
from tests.support.matrix import matrix


@matrix("name", KINDS)
def test_each_field_is_a_member_of_the_body(name: str) -> None:
    members = {f"{name}.{member}" for member in KINDS[name].body().__struct_encode_fields__}
    fields = [*following(KINDS[name])]
    assert len(fields) > 3
    assert {field.path for field in fields} <= members
    written = {field.path for field in FIELDS[name] if not field.is_asked_only and field.path.count(".") == 1}
    assert written <= members


def test_a_field_takes_what_its_member_holds() -> None:
    fields = {field.path: field for field in following(KINDS["oidc"])}
    found = {path: (field.input, field.is_more) for path, field in fields.items()}
    assert found["oidc.issuer"] == ("text", False)
    assert found["oidc.clientSecret"] == ("secret", False)
    assert found["oidc.audiences"] == ("lines", True)
    assert found["oidc.trustEmail"] == ("flag", True)
    assert found["oidc.clientAuthentication"] == ("choice", True)
    assert {value for value, _ in fields["oidc.clientAuthentication"].options} == {"auto", "basic", "post", "none"}
    assert fields["oidc.clientId"].label == "Client ID"


def test_a_kind_is_one_word() -> None:
    class TwoWords(KindSettings, frozen=True):
        kind: ClassVar[str] = "two_words"

    class Two(Kind[TwoWords, None]):
        settings = TwoWords

        def diagnose(self, *_: Any, is_quiet: bool = False) -> Any:
            raise NotImplementedError

    with pytest.raises(TypeError, match="'two_words' must be one word in lower case"):
        Two()
