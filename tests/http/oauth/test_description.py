"""``/.well-known/oauth-authorization-server`` describes the server's features, and any origin can read it."""

from __future__ import annotations

from tests.support.application import App
from tests.support.oauth_callers import DESCRIPTION
from tests.support.routes import ROUTES


async def test_it_names_the_endpoints_and_what_they_take(app: App) -> None:
    reply = await app.get(DESCRIPTION)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("application/json")
    found, methods = reply.json, ["client_secret_basic", "client_secret_post", "private_key_jwt"]
    assert found["issuer"] == app.public_url
    assert found["jwks_uri"] == f"{app.public_url}/.well-known/jwks.json"
    there = {f"{app.public_url}{route.path}" for route in ROUTES}
    for name in ("token", "revocation", "introspection"):
        assert found[f"{name}_endpoint"] in there
        public = [] if name == "introspection" else ["none"]  # device apps
        assert found[f"{name}_endpoint_auth_methods_supported"] == methods + public
        assert found[f"{name}_endpoint_auth_signing_alg_values_supported"] == ["ES256", "PS256", "RS256"]
    for name in ("device_authorization_endpoint", "pairing_endpoint"):
        assert found[name] in there
    assert found["grant_types_supported"] == [
        "client_credentials", "urn:ietf:params:oauth:grant-type:device_code", "refresh_token",
    ]  # fmt: skip
    assert found["response_types_supported"] == []
    assert "jobs:read" in found["scopes_supported"]
    assert found["jwks_uri"] in there


async def test_no_other_method_is_taken_and_is_rejected_in_the_shape_of_oauth(app: App) -> None:
    for path, status in (("/oauth2/token", 405), ("/oauth2/revoke", 405), ("/oauth2/authorize", 404)):
        reply = await app.get(path, headers={"Accept": "text/html"})
        assert (reply.status, reply.json["error"]) == (status, "invalid_request")
        assert set(reply.json) == {"error", "error_description", "request_id"}
        assert reply.headers.get("allow") == ("POST" if status == 405 else None)
