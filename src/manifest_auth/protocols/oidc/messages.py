"""What goes in and out of this package, as plain records."""

from __future__ import annotations

from typing import Any, NamedTuple


class Registration(NamedTuple):
    """How we are known at one provider. ``authentication``: ``auto``, ``basic``, ``post`` or ``none``."""

    issuer: str
    client_id: str
    client_secret: str | None
    scopes: tuple[str, ...] = ("openid",)
    authentication: str = "auto"
    audiences: tuple[str, ...] = ()  # whom an ID token may be for besides us

    def __repr__(self) -> str:
        return f"Registration({self.issuer!r}, {self.client_id!r}, ***)"


class Discovered(NamedTuple):
    """What a provider says about itself (OpenID Connect Discovery 1.0, section 3); addresses were checked."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    algorithms: tuple[str, ...]  # those of ours that it may sign ID tokens with
    token_auth_methods: tuple[str, ...]
    returns_iss: bool  # authorization_response_iss_parameter_supported, RFC 9207
    end_session_endpoint: str | None


class Authorization(NamedTuple):
    """What one sign-in sends along to the provider. ``challenge``: of PKCE, S256."""

    state: str
    nonce: str
    challenge: str
    redirect_uri: str
    login_hint: str | None = None
    prompt: str | None = None


class Answer(NamedTuple):
    """What came back with the browser, and what was kept for it. That it is the asked provider's is known already, see
    :class:`manifest_auth.protocols.oidc.callback.Callback`."""

    code: str
    verifier: str
    nonce: str
    redirect_uri: str

    def __repr__(self) -> str:
        return f"Answer(***, {self.redirect_uri!r})"


class Redeemed(NamedTuple):
    """What a code was redeemed for, the ID token verified."""

    claims: dict[str, Any]
    access_token: str
    refresh_token: str | None

    def __repr__(self) -> str:
        return "Redeemed(***)"
