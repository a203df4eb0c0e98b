"""When an OpenID provider rejects a sign-in, users see the server's own messages, never the provider's text."""

from __future__ import annotations

from manifest_auth.protocols.oidc import sentence_for
from tests.support.matrix import matrix

KNOWN = [
    "access_denied",
    "login_required",
    "consent_required",
    "interaction_required",
    "temporarily_unavailable",
    "server_error",
    "unauthorized_client",
    "invalid_scope",
    "invalid_request",
]
UNKNOWN = sentence_for("something_else")


@matrix("error", KNOWN)
def test_every_error_of_the_standard_has_a_sentence(error: str) -> None:
    text = sentence_for(error)
    assert text != UNKNOWN
    assert text.endswith(".")
    assert error not in text


def test_errors_that_a_person_can_do_different_things_about_have_different_sentences() -> None:
    assert len({sentence_for(error) for error in KNOWN[:6]}) == 6


@matrix("error", ["", "<script>alert(1)</script>", "ACCESS_DENIED", "x" * 10_000, "\x00"])
def test_anything_else_gets_one_sentence(error: str) -> None:
    assert sentence_for(error) == UNKNOWN
