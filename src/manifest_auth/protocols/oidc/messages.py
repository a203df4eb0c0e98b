"""Parameters, results and refusals of this package, as records and fixed sentences."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from manifest_auth.errors import Marked, Reason
from manifest_auth.text.languages import marked as _


class Registration(NamedTuple):
    """Our registration at one provider. ``authentication``: ``auto``, ``basic``, ``post`` or ``none``."""

    issuer: str
    client_id: str
    client_secret: str | None
    scopes: tuple[str, ...] = ("openid",)
    authentication: str = "auto"
    audiences: tuple[str, ...] = ()  # further accepted audiences of ID tokens

    def __repr__(self) -> str:
        return f"Registration({self.issuer!r}, {self.client_id!r}, ***)"


class Discovered(NamedTuple):
    """A provider's discovery document (OpenID Connect Discovery 1.0, section 3), with checked addresses."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    algorithms: tuple[str, ...]  # supported ones for ID tokens
    token_auth_methods: tuple[str, ...]
    returns_iss: bool  # authorization_response_iss_parameter_supported, RFC 9207
    end_session_endpoint: str | None


class Authorization(NamedTuple):
    """Parameters of one authorization request. ``challenge``: of PKCE, S256; ``max_age``: seconds since the person
    authenticated, at most; ``acr_values``: levels that are wished for, separated by blanks; ``claims``: JSON."""

    state: str
    nonce: str
    challenge: str
    redirect_uri: str
    login_hint: str | None = None
    prompt: str | None = None
    max_age: int | None = None
    acr_values: str | None = None
    claims: str | None = None


class Answer(NamedTuple):
    """An authorization response, and the stored values for it. The caller has checked its issuer, see
    :class:`manifest_auth.protocols.oidc.messages.Callback`."""

    code: str
    verifier: str
    nonce: str
    redirect_uri: str

    def __repr__(self) -> str:
        return f"Answer(***, {self.redirect_uri!r})"


class Redeemed(NamedTuple):
    """The result of redeeming a code, with the verified ID token."""

    claims: dict[str, Any]
    access_token: str
    refresh_token: str | None

    def __repr__(self) -> str:
        return "Redeemed(***)"


# Refusals of providers' answers, and the fixed sentences that a user may read about them.

SETUP_ERROR = _("Single sign-on is not set up correctly. Please tell your administrator.")
_UNKNOWN = _("Your organisation's sign-in page did not let you in. If this goes on, please tell your administrator.")

#: RFC 6749, sections 4.1.2.1 and 5.2, and OpenID Connect Core, section 3.1.2.6.
SENTENCES = {
    "access_denied": _("The sign-in was cancelled or not allowed at your organisation's sign-in page."),
    "login_required": _("Your organisation's sign-in page asks you to sign in there first. Please try again."),
    "account_selection_required": _("Please choose an account at your organisation's sign-in page and try again."),
    "consent_required": _("Your consent is needed at your organisation's sign-in page. Please try again."),
    "interaction_required": _("Your organisation's sign-in page needs something more from you. Please try again."),
    "temporarily_unavailable": _(
        "Your organisation's sign-in page is busy or under maintenance. Please try again in a few minutes."
    ),
    "server_error": _("Your organisation's sign-in page has a fault of its own. Please try again in a few minutes."),
    "invalid_grant": _("The sign-in took too long or was completed already. Please start again."),
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


ELSEWHERE = Reason(
    "the answer came to another callback address",
    cause="the answer is another provider's: it came to another's address, or its `iss` names another issuer or is "
    "missing though it is announced",
    cure="an attack; or a switch at the provider suppresses `iss`; or the wrong `issuer`",
)
_DENIED = Reason(
    "redirect: access_denied",
    cause="the person cancelled, or is not assigned to the application there",
    cure="assign the person",
)
_REDIRECT = Reason("redirect: …", cause="the provider refused, with its error code", cure="what the code says")
_INVALID_CLIENT = Reason(
    "token endpoint answered 401: invalid_client",
    cause="client id or secret; a secret that expired",
    cure="set a new `clientSecret`",
)
_ANSWERED = Reason(
    "token endpoint answered …", cause="the provider does not redeem the code", cure="`test`; what the code says"
)
TOKEN_ENDPOINT = _ANSWERED.also("token endpoint: …")


class OidcRefused(Exception):
    """The provider's answer is not accepted. ``reason``: for the log; ``sentence``: for the user, or None."""

    def __init__(self, reason: Reason, sentence: Marked | None = None) -> None:
        super().__init__(reason.text)
        self.reason, self.sentence = reason, sentence


def sentence_for(error: str) -> Marked:
    """The sentence for a provider's error code, from a fixed list: an attacker can write the provider's own text."""
    return SENTENCES.get(error, _UNKNOWN)


def with_number(code: str, description: object) -> str:
    """The error code, and the error number from its description, if any."""
    found = _NUMBER.search(description) if isinstance(description, str) else None
    return f"{code} {found[0]}" if found else code


def redirect_reason(error: str, description: object) -> Reason:
    """Why the provider sent the browser back without a code."""
    text = f"redirect: {with_number(error[:100] or 'no code', description)}"
    return (_DENIED if error == "access_denied" else _REDIRECT).also(text)


def refused_by_provider(status: int, error: object, description: object = None) -> OidcRefused:
    """A refusal by the provider's token endpoint, with its error code for the log."""
    code = error if isinstance(error, str) and _CODE.match(error) else "no error code"
    text = f"token endpoint answered {status}: {with_number(code, description)}"
    return OidcRefused((_INVALID_CLIENT if code == "invalid_client" else _ANSWERED).also(text), sentence_for(code))


# The callback address of a sign-in, and whether an answer belongs to it.
#
# This is the mix-up defence (RFC 9207; RFC 9700, section 4.4).
#
# An attacker's provider may redirect the browser to an honest one, so that the honest provider's code arrives in a
# sign-in at the attacker's. One of two facts must prove the origin of an answer: it arrives at an address that no other
# provider has, or it names its issuer. Otherwise the sign-in is refused.


class Callback(NamedTuple):
    """Stored at the start of a sign-in, so that later announcements of the provider do not matter. ``iss_required``:
    the provider announced that its answers have ``iss``."""

    redirect_uri: str
    iss_required: bool

    def matches(self, callback_address: str, iss: str | None, asked: Callable[[], str]) -> bool:
        """Whether an answer at ``callback_address`` with ``iss`` comes from the issuer ``asked``. Texts are compared
        exactly."""
        if callback_address != self.redirect_uri:
            return False
        return not self.iss_required if iss is None else iss == asked()


class CallbackAddresses(NamedTuple):
    """``own``: the address of one provider of one client; ``shared``: the common address; None for a provider that may
    not use it."""

    own: str
    shared: str | None = None

    def chosen(self, found: Discovered) -> Callback:
        """The callback for a provider. The shared address does not identify the provider, so it needs a provider that
        announces ``iss``."""
        address = self.shared if self.shared is not None and found.returns_iss else self.own
        return Callback(address, found.returns_iss)
