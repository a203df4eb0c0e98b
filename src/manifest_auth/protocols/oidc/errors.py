"""Refusals of providers' answers, and the fixed sentences that a user may read about them."""

from __future__ import annotations

import re

SETUP_ERROR = "Single sign-on is not set up correctly. Please tell your administrator."
_TRY_AGAIN = "Please try again in a few minutes."
_UNKNOWN = "Your organisation's sign-in page did not let you in. If this goes on, please tell your administrator."

#: RFC 6749, sections 4.1.2.1 and 5.2, and OpenID Connect Core, section 3.1.2.6.
SENTENCES = {
    "access_denied": "The sign-in was cancelled or not allowed at your organisation's sign-in page.",
    "login_required": "Your organisation's sign-in page asks you to sign in there first. Please try again.",
    "account_selection_required": "Please choose an account at your organisation's sign-in page and try again.",
    "consent_required": "Your consent is needed at your organisation's sign-in page. Please try again.",
    "interaction_required": "Your organisation's sign-in page needs something more from you. Please try again.",
    "temporarily_unavailable": f"Your organisation's sign-in page is busy or under maintenance. {_TRY_AGAIN}",
    "server_error": f"Your organisation's sign-in page has a fault of its own. {_TRY_AGAIN}",
    "invalid_grant": "The sign-in took too long or was completed already. Please start again.",
    "unauthorized_client": SETUP_ERROR,
    "unsupported_response_type": SETUP_ERROR,
    "unsupported_grant_type": SETUP_ERROR,
    "invalid_client": SETUP_ERROR,
    "invalid_scope": SETUP_ERROR,
    "invalid_request": SETUP_ERROR,
}
#: Entra ID's error number, for the log only: Microsoft changes them, and an attacker can write the address.
_NUMBER = re.compile(r"AADSTS\d{4,9}\b")
_CODE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]{1,80}\Z")  # RFC 6749, section 4.1.2.1


class Refused(Exception):
    """The provider's answer is not accepted. ``reason``: for the log; ``sentence``: for the user, or None."""

    def __init__(self, reason: str, sentence: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.sentence = reason, sentence


def sentence_for(error: str) -> str:
    """The sentence for a provider's error code, from a fixed list: an attacker can write the provider's own text."""
    return SENTENCES.get(error, _UNKNOWN)


def with_number(code: str, description: object) -> str:
    """The error code, and the error number from its description, if any."""
    found = _NUMBER.search(description) if isinstance(description, str) else None
    return f"{code} {found[0]}" if found else code


def refused_by_provider(where: str, error: object, description: object = None) -> Refused:
    """A refusal by the provider itself, with its error code for the log."""
    code = error if isinstance(error, str) and _CODE.match(error) else "no error code"
    return Refused(f"{where}: {with_number(code, description)}", sentence_for(code))
