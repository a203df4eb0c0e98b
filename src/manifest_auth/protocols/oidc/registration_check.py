"""Checks our registration at a provider: callback address, client id and secret.

No user signs in.

Sends requests that the provider must refuse; the kind of refusal is the finding.
"""

from __future__ import annotations

import hashlib
from typing import Literal, NamedTuple

from manifest_auth.protocols.oidc import authorization
from manifest_auth.protocols.oidc.errors import with_number
from manifest_auth.protocols.oidc.messages import Answer, Authorization, Discovered, Registration
from manifest_auth.protocols.oidc.token_endpoint import (
    ABOUT_CODE,
    TokenEndpoint,
    description_of,
    error_of,
    is_about_client,
)
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.outgoing import Deadline, Outgoing, Reply, Unreachable
from manifest_auth.text import base64url

#: An invalid code, with a verifier of the length that RFC 7636, section 4.1, requires.
_BOGUS = ("a-code-that-was-never-given", "0123456789-0123456789-0123456789-0123456789")
_NO_APPLICATION = "AADSTS700016"
_TELLS_NOTHING = frozenset({401, 404, 405, 407, 408, 429})  # statuses that say nothing about the address


class Finding(NamedTuple):
    """``ok``: correct; ``note``: worth knowing; ``bad``: users cannot sign in; ``unknown``: a test cannot tell whether
    they can. ``about``: which part of the provider mends it."""

    level: Literal["ok", "note", "unknown", "bad"]
    text: str
    about: Literal["settings", "rules"] = "settings"


class CallbackState(NamedTuple):
    """``why``: the reason of an unknown state."""

    state: Literal["registered", "not registered", "unknown"]
    why: str = ""


async def callback_state(
    outgoing: Outgoing,
    random: Random,
    found: Discovered,
    registration: Registration,
    redirect_uri: str,
    deadline: Deadline,
) -> CallbackState:
    """Whether the callback address is registered: a provider answers an authorization request without a page
    (``prompt=none``, OpenID Connect Core, section 3.1.2.1) only at a registered address. Raises nothing."""
    challenge = base64url.encode(hashlib.sha256(random.bytes(32)).digest())
    asked = Authorization(random.text(), random.text(), challenge, redirect_uri, prompt="none")
    try:
        reply = await outgoing.get_with_redirects(authorization.address(found, registration, asked), deadline=deadline)
    except Unreachable as error:
        return CallbackState("unknown", str(error))
    location = reply.headers.get("location", "")
    if 300 <= reply.status < 400:
        if location.partition("?")[0].partition("#")[0] == redirect_uri:
            return CallbackState("registered")
        return CallbackState("unknown", "the provider sends the browser elsewhere first")
    if 400 <= reply.status < 500 and reply.status not in _TELLS_NOTHING:
        return CallbackState("not registered")
    return CallbackState("unknown", f"the provider answers with status {reply.status}")


async def client_finding(
    outgoing: Outgoing,
    random: Random,
    found: Discovered,
    registration: Registration,
    redirect_uri: str,
    deadline: Deadline,
) -> Finding:
    """Whether client id and secret are right. Most providers check the client before the code. A provider that reports
    a wrong code also to an invented client checks no client first. Raises nothing."""
    tokens, answer = TokenEndpoint(outgoing), Answer(*_BOGUS, nonce="", redirect_uri=redirect_uri)
    try:
        reply = await tokens.ask(found, registration, answer, deadline)
    except Unreachable as error:
        return Finding("bad", f"The token endpoint cannot be used: {error}.")
    complaint = error_of(reply)
    if is_about_client(reply):
        return Finding("bad", "The client id or the client secret is wrong.")
    if with_number("", description_of(reply)).strip() == _NO_APPLICATION:  # under a code that says something else
        return Finding("bad", f"Microsoft Entra ID knows no application with this client id ({_NO_APPLICATION}).")
    if complaint == "unauthorized_client":
        return Finding("bad", "The provider does not let this client use the authorization code flow.")
    if complaint not in ABOUT_CODE:
        status_text = f"it answered {reply.status}" + (f" {complaint[:80]!r}" if complaint else "")
        return Finding("unknown", f"Whether the client id and secret are right cannot be told: {status_text}.")
    made_up = _made_up(registration, random)._replace(authentication=tokens.method(found, registration))
    try:
        told_to_anyone = _same(reply, await TokenEndpoint(outgoing).ask(found, made_up, answer, deadline))
    except Unreachable as error:
        return Finding("unknown", f"Whether the client id and secret are right cannot be told: {error}.")
    if told_to_anyone:
        what = "a client secret" if registration.client_secret else "a client id"
        why = f"the provider answers the same to {what} that is made up"
        return Finding("unknown", f"Whether the client id and secret are right cannot be told: {why}.")
    return Finding("ok", "The provider knows this client and accepts how it authenticates.")


def _made_up(registration: Registration, random: Random) -> Registration:
    if registration.client_secret:
        return registration._replace(client_secret=random.text(24))
    return registration._replace(client_id=random.text())


def _same(one: Reply, other: Reply) -> bool:
    return (one.status, error_of(one)) == (other.status, error_of(other))
