"""The authorization request (OpenID Connect Core, section 3.1.2.1; RFC 7636)."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from manifest_auth.protocols.oidc.messages import Authorization, Discovered, Registration


def address(found: Discovered, registration: Registration, asked: Authorization) -> str:
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
