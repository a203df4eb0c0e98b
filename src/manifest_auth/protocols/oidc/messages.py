"""Parameters and results of this package, as records."""

from __future__ import annotations

from typing import Any, NamedTuple


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
    :class:`manifest_auth.protocols.oidc.callback.Callback`."""

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
