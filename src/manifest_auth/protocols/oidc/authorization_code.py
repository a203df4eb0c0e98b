"""The authorization code: the request for one, and its exchange for tokens (OpenID Connect Core, section 3.1)."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from manifest_auth.protocols.oidc.messages import (
    TOKEN_ENDPOINT,
    Answer,
    Authorization,
    Discovered,
    OidcRefused,
    Registration,
    refused_by_provider,
)
from manifest_auth.runtime.outgoing import Deadline, Outgoing, Reply, Unreachable

# The authorization request (OpenID Connect Core, section 3.1.2.1; RFC 7636).


def request_address(found: Discovered, registration: Registration, asked: Authorization) -> str:
    """The address of the authorization request. A query in the endpoint's address is kept (RFC 6749, section 3.1)."""
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


# The token endpoint: a code for tokens (OpenID Connect Core, section 3.1.3; RFC 6749, sections 2.3 and 4.1.3).

_METHODS = {"basic": "client_secret_basic", "post": "client_secret_post", "none": "none"}
_TOKEN = re.compile(r"[!-~]{1,16384}\Z")  # what a header can carry
_MOST = 1000
#: Errors about the code, not about the client. Glewlwyd answers ``invalid_code`` with 403.
ABOUT_CODE = frozenset({"invalid_grant", "invalid_code"})


class Tokens(NamedTuple):
    """Tokens for a code. ``id_token`` is not verified, and may be of any type."""

    id_token: object
    access_token: str
    refresh_token: str | None

    def __repr__(self) -> str:
        return "Tokens(***)"


class TokenEndpoint:
    """Calls token endpoints, and remembers the working authentication method of each client with ``auto``."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing
        self._chosen: dict[tuple[str, str], str] = {}

    async def redeem(self, found: Discovered, registration: Registration, answer: Answer, deadline: Deadline) -> Tokens:
        """Redeems a code. Raises Refused for the provider's errors (RFC 6749, section 5.2), Unreachable for a broken
        provider."""
        reply = await self.ask(found, registration, answer, deadline)
        error = error_of(reply)
        if error is not None:
            said = object_of(reply).get("error_description")
            raise refused_by_provider(reply.status, error, said)
        body = _read(reply)
        access_token, kind = body.get("access_token"), body.get("token_type")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise OidcRefused(TOKEN_ENDPOINT.with_("token_type is not bearer"))
        if not isinstance(access_token, str) or not _TOKEN.match(access_token):
            raise OidcRefused(TOKEN_ENDPOINT.with_("no access token"))
        refresh_token = body.get("refresh_token")
        return Tokens(body.get("id_token"), access_token, refresh_token if isinstance(refresh_token, str) else None)

    async def ask(self, found: Discovered, registration: Registration, answer: Answer, deadline: Deadline) -> Reply:
        """The answer, also a refusal. Raises Unreachable.

        With ``auto`` the next authentication method is tried when the client was refused: a provider checks the client
        before the code, so a failed attempt does not use up the code.
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
        """The authentication method, as :class:`Registration` names it; for ``auto`` the one that :meth:`ask` found."""
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
            raise Unreachable(f"token endpoint answered {reply.status}")
        return reply


def error_of(reply: Reply) -> str | None:
    """The error code of an answer; empty for a refusal without a code; None for a success."""
    error = object_of(reply).get("error")
    if isinstance(error, str):
        return error
    return None if reply.status < 300 and error is None else ""


def description_of(reply: Reply) -> object:
    """What the provider says of its refusal: for a finding or the log, never for a user."""
    return object_of(reply).get("error_description")


def is_about_client(reply: Reply) -> bool:
    """Whether id, secret or authentication method were refused. In addition to the RFC's codes, Keycloak answers
    ``unauthorized_client`` with 401, and Glewlwyd with 403."""
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
        raise Unreachable(f"token endpoint: no JSON: {error}") from None
    if not isinstance(body, dict):
        raise Unreachable("token endpoint: no JSON object")
    return body


def _methods(found: Discovered, registration: Registration) -> tuple[str, ...]:
    """Authentication methods, the best first. Every provider must support HTTP Basic (RFC 6749, section 2.3.1)."""
    if not registration.client_secret:
        return (_METHODS["none"],)
    if registration.authentication in _METHODS:
        return (_METHODS[registration.authentication],)
    secret = (_METHODS["basic"], _METHODS["post"])
    return tuple(name for name in secret if name in found.token_auth_methods) or secret
