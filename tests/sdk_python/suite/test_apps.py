"""The stand-in as an OpenID Connect provider: a sign-in by code, checked as an app's library does."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from manifest_auth_client.testing import FakeManifestAuth

CALLBACK, VERIFIER = "https://reports.example/callback", "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def told(http: httpx2.Client, issuer: str, **asked: str) -> dict[str, str]:
    """The parameters with which the browser comes back."""
    right = {
        "response_type": "code", "redirect_uri": CALLBACK, "scope": "openid email offline_access", "state": "s",
        "nonce": "n", "code_challenge": CHALLENGE, "code_challenge_method": "S256", **asked,
    }  # fmt: skip
    answer = http.get(f"{issuer}/authorize?{urlencode(right)}")
    assert answer.status_code == 302, answer.text
    assert answer.headers["location"].startswith(CALLBACK)
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


@pytest.mark.parametrize("has_secret", [True, False])
def test_an_app_signs_a_user_in_refreshes_and_asks_who_it_is(has_secret: bool) -> None:
    fake = FakeManifestAuth()
    ada, app = fake.add_user("ada@acme.example", "x"), fake.add_app(CALLBACK, has_secret=has_secret)
    with httpx2.Client(transport=fake.transport) as http:
        metadata = http.get(f"{app.issuer}/.well-known/openid-configuration").json()
        assert metadata["issuer"] == app.issuer
        assert told(http, app.issuer, client_id=app.client_id)["error"] == "login_required"
        fake.at_browser(ada)
        assert (
            told(http, app.issuer, client_id=app.client_id, code_challenge_method="plain")["error"] == "invalid_request"
        )
        back = told(http, app.issuer, client_id=app.client_id)
        assert (back["state"], back["iss"]) == ("s", app.issuer)
        shown: dict[str, Any] = {"auth": (app.client_id, app.secret)} if has_secret else {}
        own = {} if has_secret else {"client_id": app.client_id}
        form = {
            "grant_type": "authorization_code", "code": back["code"], "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER, **own,
        }  # fmt: skip
        tokens = http.post(metadata["token_endpoint"], data=form, **shown).json()
        keys = KeySet.import_key_set(http.get(metadata["jwks_uri"]).json())
        claims = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"]).claims
        assert (claims["iss"], claims["aud"], claims["nonce"]) == (app.issuer, app.client_id, "n")
        assert (claims["sub"], claims["email"], claims["client"]) == (str(ada.id), ada.email, "acme")
        again = http.post(metadata["token_endpoint"], data=form, **shown)
        assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
        renewing = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **own}
        renewed = http.post(metadata["token_endpoint"], data=renewing, **shown).json()
        bearer = {"Authorization": f"Bearer {renewed['access_token']}"}
        assert http.get(metadata["userinfo_endpoint"], headers=bearer).json()["email"] == ada.email
        fake.end_sessions(ada)
        assert http.get(metadata["userinfo_endpoint"], headers=bearer).status_code == 401
