"""OpenID Connect Core 1.0 and OAuth 2.0 as a provider: authorization requests, their responses, and the metadata.

Reads what an app sends, but never the store: other modules identify the app and check its addresses.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec

from manifest_auth.errors import ValidationError
from manifest_auth.protocols import oauth
from manifest_auth.text import strict_json


class Denied(Exception):
    """An error that the app receives at its own address (RFC 6749, section 4.1.2.1; OpenID Connect Core, section
    3.1.2.6). ``error`` is their name for it, ``text`` is for the app's developer, and ``told`` contains both as
    parameters."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.told = {"error": error, "error_description": text}


class Wanted(msgspec.Struct, frozen=True, omit_defaults=True):
    """A checked authorization request. ``max_age`` is in seconds. The request asks for two factors (``mfa``), a sign-in
    after ``made_at`` in milliseconds (``anew``), a choice between accounts (``select``), the user's consent
    (``consent``), or a response without any page (``silent``). ``subs`` are numbers of the users who can sign in, None
    for any. ``mark`` identifies the browser that sent the request; empty if it sent no cookie."""

    app_id: str
    redirect_uri: str
    scope: tuple[str, ...]
    challenge: str
    state: str | None = None
    nonce: str | None = None
    form_post: bool = False
    max_age: int | None = None
    mfa: bool = False
    anew: bool = False
    select: bool = False
    consent: bool = False
    silent: bool = False
    subs: frozenset[str] | None = None
    login_hint: str = ""
    language: str = ""
    made_at: int = 0
    mark: str = ""

    @property
    def asks_anew(self) -> bool:
        """Whether the time of the authentication matters."""
        return self.anew or self.max_age is not None


class Target(NamedTuple):
    """The destination of the response, if the request names a usable one."""

    redirect_uri: str
    state: str | None
    form_post: bool


_MOST_BYTES, _MOST_FIELDS = 8000, 50
#: The maximum lengths of values that are stored during a sign-in.
_LONGEST = {"state": 2048, "nonce": 512, "redirect_uri": 2000}
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_AGE = re.compile(r"[0-9]{1,9}\Z")
_PROMPTS = {"none", "login", "consent", "select_account"}
_REFUSED = {
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}
MFA: Final = "mfa"


def read_parameters(raw: bytes) -> tuple[dict[str, str], frozenset[str]]:
    """Returns the parameters that have a value, and the names of repeated ones. Raises ValidationError."""
    try:
        if len(raw) > _MOST_BYTES:
            raise ValueError
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise ValidationError("The authorization request can't be read, or is too long") from None
    named = [name for name, _ in pairs]
    twice = frozenset(name for name in named if named.count(name) > 1 and name != oauth.RESOURCE)
    return {name: value for name, value in pairs if value and "\0" not in value}, twice


def address_of(given: Mapping[str, str], twice: frozenset[str]) -> tuple[str, str]:
    """Returns the client ID and the redirect address, which determine whether an error can be sent to the app. Raises
    ValidationError."""
    for name in ("client_id", "redirect_uri"):
        if name in twice or name not in given or len(given[name]) > _LONGEST["redirect_uri"]:
            raise ValidationError(details=[(name, "Required, exactly once")])
    return given["client_id"], given["redirect_uri"]


def target_of(given: Mapping[str, str], twice: frozenset[str]) -> Target:
    """The path of the response to the redirect address."""
    state = given.get("state")
    usable = state is not None and "state" not in twice and len(state) <= _LONGEST["state"]
    form_post = given.get("response_mode") == "form_post" and "response_mode" not in twice and _takes_posts(given)
    return Target(given["redirect_uri"], state if usable else None, form_post)


def _takes_posts(given: Mapping[str, str]) -> bool:
    """Whether the redirect address is a web address. Browsers don't post forms to a native app's private scheme."""
    return given["redirect_uri"].lower().startswith(("https:", "http:"))


def read_request(given: Mapping[str, str], twice: frozenset[str], listed: Sequence[str], now: int) -> Wanted:
    """Returns the request of a valid app with a valid redirect address. ``listed`` contains the scopes that the app can
    ask for. Raises Denied."""
    if twice:
        raise Denied("invalid_request", f"sent more than once: {', '.join(sorted(map(_shown, twice)))}")
    for name, error in _REFUSED.items():
        if name in given:
            raise Denied(error, f"{name} isn't supported")
    for name in ("state", "nonce"):
        if len(given.get(name, "")) > _LONGEST[name]:
            raise Denied("invalid_request", f"{name} has more than {_LONGEST[name]} characters")
    if given.get("response_mode", "query") not in ("query", "form_post"):
        raise Denied("invalid_request", "response_mode must be query or form_post")
    if given.get("response_mode") == "form_post" and not _takes_posts(given):
        raise Denied("invalid_request", "response_mode form_post needs a redirect_uri of https or http")
    if "response_type" not in given:
        raise Denied("invalid_request", "response_type is missing")
    if given["response_type"] != "code":
        raise Denied("unsupported_response_type", "response_type must be code")
    if given.get("code_challenge_method") != "S256" or not _CHALLENGE.match(given.get("code_challenge", "")):
        raise Denied("invalid_request", "PKCE is required: code_challenge with code_challenge_method S256")
    prompt = set(given.get("prompt", "").split())
    if not prompt <= _PROMPTS or ("none" in prompt and len(prompt) > 1):
        raise Denied("invalid_request", "prompt must be either none, or any of login, consent, and select_account")
    age = given.get("max_age")
    if age is not None and not _AGE.match(age):
        raise Denied("invalid_request", "max_age must be a number of seconds")
    mfa, subs = _asked_by_claims(given.get("claims"))
    return Wanted(
        app_id=given["client_id"],
        redirect_uri=given["redirect_uri"],
        scope=_scope(given.get("scope", "openid"), listed),
        challenge=given["code_challenge"],
        state=given.get("state"),
        nonce=given.get("nonce"),
        form_post=given.get("response_mode") == "form_post",
        max_age=None if age is None else int(age),
        mfa=mfa or MFA in given.get("acr_values", "").split(),
        anew="login" in prompt,
        select="select_account" in prompt,
        consent="consent" in prompt,
        silent="none" in prompt,
        subs=subs,
        login_hint=given.get("login_hint", "")[:254],
        language=given.get("ui_locales", "")[:100],
        made_at=now,
    )


def _shown(name: str) -> str:
    return name[:40] if name.isascii() and name.replace("_", "").isalnum() else "a parameter"


def _scope(text: str, listed: Sequence[str]) -> tuple[str, ...]:
    if not oauth.SCOPE.match(text):
        raise Denied("invalid_scope", "scope must be names separated by single spaces")
    asked = set(text.split(" "))
    if more := sorted(asked.difference(listed)):
        raise Denied("invalid_scope", f"the app can't request: {', '.join(more)[:200]}")
    return tuple(scope for scope in listed if scope in asked)


class _Asked(msgspec.Struct):
    value: str | None = None
    values: frozenset[str] | None = None


class _OfToken(msgspec.Struct):
    acr: _Asked | None = None
    sub: _Asked | None = None


class _Claims(msgspec.Struct):
    id_token: _OfToken | None = None
    userinfo: _OfToken | None = None


def _asked_by_claims(text: str | None) -> tuple[bool, frozenset[str] | None]:
    """Returns whether the parameter ``claims`` (section 5.5) asks for an ``acr`` of two factors, and each ``sub`` that
    all of its parts allow, or None for any. The scopes already cover its other members."""
    try:
        read = strict_json.read((text or "{}").encode("utf-8", "surrogatepass"))
        asked = msgspec.convert(read, _Claims)
    except (ValueError, msgspec.MsgspecError):
        raise Denied("invalid_request", "claims isn't an object as defined by OpenID Connect") from None
    acr = (asked.id_token and asked.id_token.acr) or _Asked()
    subs = [part.sub for part in (asked.id_token, asked.userinfo) if part is not None and part.sub is not None]
    sets = [sub.values for sub in subs] + [frozenset({sub.value}) for sub in subs if sub.value is not None]
    allowed = [each for each in sets if each is not None]
    return MFA in (acr.value, *(acr.values or ())), frozenset.intersection(*allowed) if allowed else None


# Responses: a redirect, or a page that posts itself (OAuth 2.0 Form Post Response Mode). Each names the issuer (RFC
# 9207), so that an app with several providers notices a response from the wrong one (mix-up).


def redirect_address(address: str, values: Mapping[str, str | None]) -> str:
    """Returns the redirect address with parameters added to its query."""
    query = urlencode({name: value for name, value in values.items() if value is not None}, quote_via=quote)
    return f"{address}{'&' if '?' in address else '?'}{query}" if query else address


_SCRIPT = "document.forms[0].submit()"
_SCRIPT_HASH = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()


def post_page(address: str, values: Mapping[str, str | None]) -> tuple[bytes, str]:
    """Returns a page that posts the values on its own or with a button, and its Content-Security-Policy. ``address``
    must be a listed web address."""
    named = {name: value for name, value in values.items() if value is not None}
    inputs = "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in named.items())
    text = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Return to your app</title></head><body>'
        f'<form method="post" action="{escape(address)}">{inputs}'
        '<p><button type="submit">Continue</button></p></form>'
        f"<script>{_SCRIPT}</script></body></html>"
    )
    scheme = urlsplit(address).scheme
    targets = "https:" if scheme == "https" else "https: http:"
    policy = (
        f"default-src 'none'; script-src 'sha256-{_SCRIPT_HASH}'; form-action {targets}; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    return text.encode("utf-8", "replace"), policy


CODE, REFRESH = "authorization_code", oauth.REFRESH_TOKEN
GRANTS = (CODE, REFRESH)
_OF_TOKENS = ("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "amr", "acr", "sid", "at_hash", "azp", "client")
_OF_USERS = ("name", "given_name", "family_name", "locale", "updated_at", "email", "email_verified", "roles")


def metadata(issuer: str, scopes: Sequence[str]) -> dict[str, Any]:
    """Returns the metadata document of a client's issuer (OpenID Connect Discovery, section 3; RFC 8414, section 2)."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "jwks_uri": f"{issuer}/jwks",
        **oauth.endpoints(issuer, "/token", "/revoke", "/introspect"),
        "end_session_endpoint": f"{issuer}/logout",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": list(GRANTS),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": list(scopes),
        "claims_supported": [*_OF_TOKENS, *_OF_USERS],
        "claim_types_supported": ["normal"],
        "claims_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "prompt_values_supported": sorted(_PROMPTS),
        "acr_values_supported": [MFA, "pwd"],
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
    }
