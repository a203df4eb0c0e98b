"""Checks the claims of Entra ID access tokens, before they are verified.

No input or output.

:func:`check` has one rule for tokens for Graph and for our own application. Another module verifies the token, by
calling Graph or by its signature. The rule is Microsoft's advice on claims validation, with RFC 8725: audience, issuer
bound to the directory, application by ``azp`` or ``appid``, user by ``oid`` and ``tid``, never by an e-mail address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from manifest_auth.protocols.microsoft.clouds import CONSUMERS, Cloud
from manifest_auth.runtime.outgoing import parse
from manifest_auth.text.base64url import decode

MAX_LENGTH = 16 * 1024  # a token with many groups is long
SKEW_S = 60
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")


class MicrosoftRefused(Exception):
    """The token is not accepted; the text is for the log."""


class Accepted(NamedTuple):
    """What a client's provider accepts. ``applications``: client ids of allowed apps, lower case; ``audiences``: our
    own application's id and App ID URI, empty when only tokens for Graph are accepted; ``scopes``: a token for our own
    application must have one of them."""

    directory: str
    cloud: Cloud
    applications: frozenset[str]
    audiences: frozenset[str]
    scopes: frozenset[str]
    graph_tokens: bool
    guests: bool


class Claims(NamedTuple):
    """The checked claims. Times in seconds."""

    directory: str
    person: str  # oid
    application: str
    audience: str
    issuer: str
    version: str
    expires_at: float
    everything: Mapping[str, Any]


def read(token: str) -> dict[str, Any] | None:
    """The unverified payload of a JWT; None for another text.

    All three parts are decoded strictly, although only one is used: Graph may accept invalid base64url, and then one
    token would have several texts.
    """
    if len(token) > MAX_LENGTH or not _COMPACT.match(token):
        return None
    try:
        header, claims, _ = (decode(part) for part in token.split("."))
        parse(header)
        payload = parse(claims)
    except ValueError:
        return None
    return payload if isinstance(payload, dict) else None


def directory_of(payload: Mapping[str, Any]) -> str:
    """The directory (``tid``) that the payload names, lower case; empty when it is not a directory id."""
    tid = payload.get("tid")
    return tid.lower() if isinstance(tid, str) and GUID.match(tid.lower()) else ""


def application_of(payload: Mapping[str, Any]) -> str:
    """The application that requested the token: ``azp`` in v2.0 tokens, ``appid`` in v1.0 ones. Empty when both are
    there and differ."""
    values = [payload[name] for name in ("azp", "appid") if name in payload]
    found = {value.lower() if isinstance(value, str) else "" for value in values}
    return found.pop() if len(found) == 1 else ""


def check(payload: Mapping[str, Any], accepted: Accepted, now_ms: int) -> Claims:
    """The claims, checked against the provider's settings, except ``exp``, which is checked after the token is
    verified. Raises Refused."""
    cloud, directory = accepted.cloud, accepted.directory
    if directory_of(payload) != directory or directory == CONSUMERS:
        raise MicrosoftRefused("tid: of another directory, or of personal accounts")
    version = payload.get("ver")
    issuers = {"1.0": cloud.issuer_v1(directory), "2.0": cloud.issuer_v2(directory)}
    if version not in ("1.0", "2.0") or payload.get("iss") != issuers[version]:
        raise MicrosoftRefused("iss: does not fit ver and tid")
    audience = payload.get("aud")
    if not isinstance(audience, str) or not _is_for_us(audience, accepted):
        raise MicrosoftRefused("aud: neither Graph nor our application")
    application = application_of(payload)
    if application not in accepted.applications:
        raise MicrosoftRefused("appid, azp: not on the provider's list")
    person = payload.get("oid")
    if not isinstance(person, str) or not GUID.match(person.lower()):
        raise MicrosoftRefused("oid: missing")
    _check_delegated(payload, accepted, is_graph=cloud.is_graph(audience))
    _check_guest(payload, accepted)
    expires_at = _check_times(payload, now_ms / 1000)
    return Claims(
        directory=directory,
        person=person.lower(),
        application=application,
        audience=audience,
        issuer=issuers[version],
        version=version,
        expires_at=expires_at,
        everything=payload,
    )


def _is_for_us(audience: str, accepted: Accepted) -> bool:
    return audience in accepted.audiences or (accepted.graph_tokens and accepted.cloud.is_graph(audience))


def _check_delegated(payload: Mapping[str, Any], accepted: Accepted, *, is_graph: bool) -> None:
    """Refuses tokens of an application itself, which have ``roles`` and no ``scp``. ``idtyp`` is optional, and ``user``
    in a user's token."""
    scopes = payload.get("scp")
    if payload.get("idtyp", "user") != "user" or not isinstance(scopes, str) or not scopes.split():
        raise MicrosoftRefused("scp: an app's own token, no person's")
    if not is_graph and accepted.scopes and not accepted.scopes & set(scopes.split()):
        raise MicrosoftRefused("scp: none of the scopes that the provider asks for")


def _check_guest(payload: Mapping[str, Any], accepted: Accepted) -> None:
    """Refuses guests unless they are allowed. ``acct`` 1 is a guest, 0 a member; ``idp`` names a guest's own identity
    provider. Both are optional; any other value means a guest."""
    cloud, directory = accepted.cloud, accepted.directory
    at_home = payload.get("idp", "") in ("", cloud.issuer_v1(directory), cloud.issuer_v2(directory))
    if not (at_home and payload.get("acct", 0) in (0, "0")) and not accepted.guests:
        raise MicrosoftRefused("idp, acct: a guest")


def _check_times(payload: Mapping[str, Any], now: float) -> float:
    exp, nbf, iat = payload.get("exp"), payload.get("nbf", 0), payload.get("iat", 0)
    for name, value in (("exp", exp), ("nbf", nbf), ("iat", iat)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
            raise MicrosoftRefused(f"{name}: no time")
    assert isinstance(exp, int | float)
    if nbf > now + SKEW_S or iat > now + SKEW_S:
        raise MicrosoftRefused("nbf, iat: not valid yet")
    return float(exp)
