"""Messages of OpenID Connect: the request for a code, its exchange for tokens, and their results and errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from manifest_auth.errors import Marked, Reason
from manifest_auth.runtime.outgoing import Deadline, Outgoing
from manifest_auth.runtime.outgoing_guard import Reply, Unreachable
from manifest_auth.text.languages import marked as _


class Registration(NamedTuple):
    """This server's registration with a provider. ``authentication`` is ``auto``, ``basic``, ``post``, or ``none``."""

    issuer: str
    client_id: str
    client_secret: str | None
    scopes: tuple[str, ...] = ("openid",)
    authentication: str = "auto"
    audiences: tuple[str, ...] = ()  # other accepted audiences of ID tokens

    def __repr__(self) -> str:
        return f"Registration({self.issuer!r}, {self.client_id!r}, ***)"


class Discovered(NamedTuple):
    """A provider's discovery document (OpenID Connect Discovery 1.0, section 3), with checked addresses."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    algorithms: tuple[str, ...]  # supported algorithms for ID tokens
    token_auth_methods: tuple[str, ...]
    returns_iss: bool  # authorization_response_iss_parameter_supported, RFC 9207
    end_session_endpoint: str | None


class Authorization(NamedTuple):
    """The parameters of an authorization request. ``challenge`` is the PKCE challenge (S256), ``max_age`` is the
    maximum number of seconds since the user authenticated, ``acr_values`` are requested levels, separated by spaces,
    and ``claims`` is JSON."""

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
    """An authorization response, and the stored values for it. The caller must have checked its issuer; see
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


# Errors in providers' responses, and the fixed sentences about them that users can read.

SETUP_ERROR = _("Single sign-on isn't set up correctly. Contact your administrator.")
_UNKNOWN = _(
    "Your organization's sign-in page rejected the sign-in. If it keeps happening, contact your administrator."
)

#: RFC 6749, sections 4.1.2.1 and 5.2, and OpenID Connect Core, section 3.1.2.6.
SENTENCES = {
    "access_denied": _("You canceled the sign-in, or your organization's sign-in page rejected it."),
    "login_required": _("Your organization's sign-in page requires you to sign in first. Try again."),
    "account_selection_required": _("Choose an account on your organization's sign-in page, and try again."),
    "consent_required": _("Your organization's sign-in page requires your consent. Try again."),
    "interaction_required": _("Your organization's sign-in page requires another step. Try again."),
    "temporarily_unavailable": _(
        "Your organization's sign-in page is busy or under maintenance. Try again in a few minutes."
    ),
    "server_error": _("Your organization's sign-in page has a problem. Try again in a few minutes."),
    "invalid_grant": _("The sign-in expired or was already completed. Start again."),
    "unauthorized_client": SETUP_ERROR,
    "unsupported_response_type": SETUP_ERROR,
    "unsupported_grant_type": SETUP_ERROR,
    "invalid_client": SETUP_ERROR,
    "invalid_scope": SETUP_ERROR,
    "invalid_request": SETUP_ERROR,
}
#: Entra ID's error number, only for the log, because Microsoft changes it and an attacker can write the address.
_NUMBER = re.compile(r"AADSTS\d{4,9}\b")
_CODE = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]{1,80}\Z")  # RFC 6749, section 4.1.2.1


ELSEWHERE = Reason(
    "the response arrived at a different redirect URI",
    cause="The response belongs to another provider: it came to another redirect URI, or its `iss` names "
    "another issuer or is missing although the provider announces it",
    cure="Check whether it is an attack, whether a setting at the provider suppresses `iss`, and whether "
    "`issuer` is correct",
)
_DENIED = Reason(
    "redirect: access_denied",
    cause="The user canceled, or isn't assigned to the application there",
    cure="Assign the user",
)
_REDIRECT = Reason(
    "redirect: …",
    cause="The provider rejected the sign-in with its error code",
    cure="Look up the code in the provider's documentation",
)
_INVALID_CLIENT = Reason(
    "token endpoint returned 401: invalid_client",
    cause="The client ID or secret is incorrect, or the secret expired",
    cure="Set a new `clientSecret`",
)
_ANSWERED = Reason(
    "token endpoint returned …",
    cause="The provider doesn't exchange the code",
    cure="Run `test`, and look up the code in the provider's documentation",
)
TOKEN_ENDPOINT = _ANSWERED.also("token endpoint: …")


class OidcRefused(Exception):
    """The provider's response is rejected. ``reason`` is for the log, and ``sentence`` is for the user, or None."""

    def __init__(self, reason: Reason, sentence: Marked | None = None) -> None:
        super().__init__(reason.text)
        self.reason, self.sentence = reason, sentence


def sentence_for(error: str) -> Marked:
    """Returns the sentence for a provider's error code, from a fixed list, because an attacker can write the provider's
    text."""
    return SENTENCES.get(error, _UNKNOWN)


def with_number(code: str, description: object) -> str:
    """Returns the error code, and the error number from its description, if any."""
    found = _NUMBER.search(description) if isinstance(description, str) else None
    return f"{code} {found[0]}" if found else code


def redirect_reason(error: str, description: object) -> Reason:
    """Returns why the provider redirected the browser back without a code."""
    text = f"redirect: {with_number(error[:100] or 'no code', description)}"
    return (_DENIED if error == "access_denied" else _REDIRECT).also(text)


def refused_by_provider(status: int, error: object, description: object = None) -> OidcRefused:
    """An error of the provider's token endpoint, with its error code for the log."""
    code = error if isinstance(error, str) and _CODE.match(error) else "no error code"
    text = f"token endpoint returned {status}: {with_number(code, description)}"
    return OidcRefused((_INVALID_CLIENT if code == "invalid_client" else _ANSWERED).also(text), sentence_for(code))


# The callback address of a sign-in, and whether a response belongs to it.
#
# This is the mix-up defense (RFC 9207; RFC 9700, section 4.4).
#
# An attacker's provider can redirect the browser to an honest one, so that the honest provider's code arrives in a
# sign-in at the attacker's. One of two facts must prove the origin of a response: it arrives at an address that no
# other provider has, or it names its issuer. Otherwise the sign-in is rejected.


class Callback(NamedTuple):
    """Values stored at the start of a sign-in, so that later changes to the provider's metadata don't matter.
    ``iss_required`` means that the provider announced that its responses have ``iss``."""

    redirect_uri: str
    iss_required: bool

    def matches(self, callback_address: str, iss: str | None, asked: Callable[[], str]) -> bool:
        """Whether a response at ``callback_address`` with ``iss`` comes from the issuer ``asked``. Compares texts
        exactly."""
        if callback_address != self.redirect_uri:
            return False
        return not self.iss_required if iss is None else iss == asked()


class CallbackAddresses(NamedTuple):
    """The callback addresses. ``own`` is the address of one provider of one client. ``shared`` is the common address,
    or None for a provider that can't use it."""

    own: str
    shared: str | None = None

    def chosen(self, found: Discovered) -> Callback:
        """Returns the callback for a provider. The shared address doesn't identify the provider, so it requires a
        provider that announces ``iss``."""
        address = self.shared if self.shared is not None and found.returns_iss else self.own
        return Callback(address, found.returns_iss)


# The authorization request (OpenID Connect Core, section 3.1.2.1; RFC 7636).


def request_address(found: Discovered, registration: Registration, asked: Authorization) -> str:
    """Returns the address of the authorization request. Keeps a query in the endpoint's address (RFC 6749, section
    3.1)."""
    scopes = dict.fromkeys(("openid", *registration.scopes))
    query: dict[str, str | int | None] = {
        "response_type": "code",
        "client_id": registration.client_id,
        "redirect_uri": asked.redirect_uri,
        "scope": " ".join(scopes),
        "state": asked.state,
        "nonce": asked.nonce,
        "code_challenge": asked.challenge,
        "code_challenge_method": "S256",
        "login_hint": asked.login_hint,
        "prompt": asked.prompt,
        "max_age": asked.max_age,
        "acr_values": asked.acr_values,
        "claims": asked.claims,
    }
    given = urlencode({name: text for name, text in query.items() if text is not None}, quote_via=quote)
    return f"{found.authorization_endpoint}{'&' if '?' in found.authorization_endpoint else '?'}{given}"


# The token endpoint exchanges a code for tokens (OpenID Connect Core, section 3.1.3; RFC 6749, sections 2.3 and 4.1.3).

_METHODS = {"basic": "client_secret_basic", "post": "client_secret_post", "none": "none"}
_TOKEN = re.compile(r"[!-~]{1,16384}\Z")  # the characters that a header can contain
_MOST = 1000
#: Errors about the code, not about the client. Glewlwyd returns ``invalid_code`` with 403.
ABOUT_CODE = frozenset({"invalid_grant", "invalid_code"})


class TokenEndpoint:
    """Calls token endpoints, and remembers the working authentication method of each client with ``auto``."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._chosen: dict[tuple[str, str], str] = {}

    async def redeem(
        self, found: Discovered, registration: Registration, answer: Answer, deadline: Deadline
    ) -> tuple[object, str, str | None]:
        """Returns the tokens for a code: the ID token, which isn't verified and can have any type, the access token,
        and the refresh token. Raises OidcRefused for the provider's errors (RFC 6749, section 5.2), and Unreachable for
        a broken provider."""
        reply = await self.ask(found, registration, answer, deadline)
        error = error_of(reply)
        if error is not None:
            raise refused_by_provider(reply.status, error, object_of(reply).get("error_description"))
        body = _read(reply)
        access_token, kind = body.get("access_token"), body.get("token_type")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise OidcRefused(TOKEN_ENDPOINT.with_("token_type is not bearer"))
        if not isinstance(access_token, str) or not _TOKEN.match(access_token):
            raise OidcRefused(TOKEN_ENDPOINT.with_("no access token"))
        refresh_token = body.get("refresh_token")
        return body.get("id_token"), access_token, refresh_token if isinstance(refresh_token, str) else None

    async def ask(self, found: Discovered, registration: Registration, answer: Answer, deadline: Deadline) -> Reply:
        """Returns the response, even if it is an error. Raises Unreachable.

        With ``auto``, tries the next authentication method if the client was rejected. Providers check the client
        before the code, so a failed attempt doesn't use up the code.
        """
        known = (found.token_endpoint, registration.client_id)
        first, *others = self._in_order(found, registration)
        reply = await self._ask_by(first, found, registration, answer, deadline)
        for method in others:
            if not is_about_client(reply):
                break
            reply = await self._ask_by(method, found, registration, answer, deadline)
            if not is_about_client(reply):
                self._remember(known, method)
        return reply

    def method(self, found: Discovered, registration: Registration) -> str:
        """Returns the authentication method, as named by :class:`Registration`; for ``auto``, the one that :meth:`ask`
        found."""
        chosen = self._in_order(found, registration)[0]
        return next(name for name, method in _METHODS.items() if method == chosen)

    def _in_order(self, found: Discovered, registration: Registration) -> list[str]:
        chosen = self._chosen.get((found.token_endpoint, registration.client_id))
        return sorted(_methods(found, registration), key=lambda name: name != chosen)

    def _remember(self, known: tuple[str, str], method: str) -> None:
        while len(self._chosen) >= _MOST:
            del self._chosen[next(iter(self._chosen))]
        self._chosen[known] = method

    async def _ask_by(
        self, method: str, found: Discovered, registration: Registration, answer: Answer, deadline: Deadline
    ) -> Reply:
        fields = {
            "grant_type": "authorization_code",
            "code": answer.code,
            "redirect_uri": answer.redirect_uri,
            "code_verifier": answer.verifier,
        }
        basic = None
        if method == "client_secret_basic":
            basic = (registration.client_id, registration.client_secret or "")
        else:
            fields["client_id"] = registration.client_id
            if method == "client_secret_post":
                fields["client_secret"] = registration.client_secret or ""
        reply = await self._outgoing.post_form(
            found.token_endpoint, fields, basic=basic, deadline=deadline, call="token"
        )
        if reply.status >= 500 or reply.status == 429:
            raise Unreachable(_("token endpoint returned %(status)s", status=reply.status))
        return reply


def error_of(reply: Reply) -> str | None:
    """Returns the error code of a response; empty for an error without a code; None for a success."""
    error = object_of(reply).get("error")
    if isinstance(error, str):
        return error
    return None if reply.status < 300 and error is None else ""


def description_of(reply: Reply) -> object:
    """Returns the provider's reason for its rejection, for a finding or the log, but never for a user."""
    return object_of(reply).get("error_description")


def is_about_client(reply: Reply) -> bool:
    """Whether the provider rejected the ID, secret, or authentication method. In addition to the RFC's codes, Keycloak
    returns ``unauthorized_client`` with 401, and Glewlwyd with 403."""
    error = error_of(reply)
    return error == "invalid_client" or (reply.status in (401, 403) and error not in ABOUT_CODE)


def object_of(reply: Reply) -> dict[str, Any]:
    try:
        body = reply.json()
    except ValueError:
        body = {}
    return body if isinstance(body, dict) else {}


def _read(reply: Reply) -> dict[str, Any]:
    try:
        body = reply.json()
    except ValueError as error:
        raise Unreachable(_("token endpoint: invalid JSON: %(error)s", error=str(error))) from None
    if not isinstance(body, dict):
        raise Unreachable(_("token endpoint: not a JSON object"))
    return body


def _methods(found: Discovered, registration: Registration) -> tuple[str, ...]:
    """Returns authentication methods, best first. Every provider must support HTTP Basic (RFC 6749, section 2.3.1)."""
    if not registration.client_secret:
        return (_METHODS["none"],)
    if registration.authentication in _METHODS:
        return (_METHODS[registration.authentication],)
    secret = (_METHODS["basic"], _METHODS["post"])
    return tuple(name for name in secret if name in found.token_auth_methods) or secret
