"""Metadata of this authorization server (RFC 8414)."""

from __future__ import annotations

from typing import Any

from manifest_auth.permissions import Permission
from manifest_auth.protocols.oauth.authentication import ALGORITHMS, METHODS
from manifest_auth.protocols.oauth.requests import DEVICE_CODE, GRANT_TYPE, REFRESH_TOKEN

PATH = "/.well-known/oauth-authorization-server"
PREFIX = "/oauth2/"
TOKEN, REVOCATION, INTROSPECTION = "/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"
DEVICE_AUTHORIZATION, PAIRING = "/oauth2/device_authorization", "/oauth2/pairing"

#: Endpoints that device apps use too, which authenticate by none.
_PUBLIC = ("token", "revocation")


def metadata(issuer: str) -> dict[str, Any]:
    """The document for an issuer, which is the public address without a slash at its end."""
    endpoints = {"token": TOKEN, "revocation": REVOCATION, "introspection": INTROSPECTION}
    found: dict[str, Any] = {"issuer": issuer, "jwks_uri": f"{issuer}/.well-known/jwks.json"}
    for name, path in endpoints.items():
        found |= {
            f"{name}_endpoint": f"{issuer}{path}",
            f"{name}_endpoint_auth_methods_supported": [*METHODS, *(["none"] if name in _PUBLIC else [])],
            f"{name}_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        }
    return {
        **found,
        "device_authorization_endpoint": f"{issuer}{DEVICE_AUTHORIZATION}",
        "pairing_endpoint": f"{issuer}{PAIRING}",
        "grant_types_supported": [GRANT_TYPE, DEVICE_CODE, REFRESH_TOKEN],
        "response_types_supported": [],
        "scopes_supported": [permission.value for permission in Permission],
    }
