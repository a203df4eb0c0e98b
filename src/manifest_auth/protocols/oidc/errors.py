"""What is not accepted, and the few sentences that a person may read about it."""

from __future__ import annotations

import re

SET_UP = "Single sign-on is not set up correctly. Please tell your administrator."
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
    "unauthorized_client": SET_UP,
    "unsupported_response_type": SET_UP,
    "unsupported_grant_type": SET_UP,
    "invalid_client": SET_UP,
    "invalid_scope": SET_UP,
    "invalid_request": SET_UP,
}
#: Entra ID's number of what went wrong, for the log alone: Microsoft changes them, and anybody can write the address.
_NUMBER = re.compile(r"AADSTS\d{4,9}\b")
_CODE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]{1,80}\Z")  # RFC 6749, section 4.1.2.1


class Refused(Exception):
    """What the provider sent is not accepted. ``reason`` is for the log; ``sentence`` for the person, or None."""

    def __init__(self, reason: str, sentence: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.sentence = reason, sentence


def sentence_for(error: str) -> str:
    """A sentence for a provider's error code, of a fixed list: the provider's own text is anybody's."""
    return SENTENCES.get(error, _UNKNOWN)


def with_number(code: str, description: object) -> str:
    """The error code, and the number in its description where there is one."""
    found = _NUMBER.search(description) if isinstance(description, str) else None
    return f"{code} {found[0]}" if found else code


def refused_by_provider(where: str, error: object, description: object = None) -> Refused:
    """A refusal that the provider spoke out itself, with its error code in the log."""
    code = error if isinstance(error, str) and _CODE.match(error) else "no error code"
    return Refused(f"{where}: {with_number(code, description)}", sentence_for(code))
