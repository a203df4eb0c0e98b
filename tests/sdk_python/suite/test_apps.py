"""The stand-in as an OpenID Connect provider: a sign-in by code, checked as an app's library would."""

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
    """The parameters that the browser returns with."""
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
        renewing = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **own}
        renewed = http.post(metadata["token_endpoint"], data=renewing, **shown).json()
        bearer = {"Authorization": f"Bearer {renewed['access_token']}"}
        assert http.get(metadata["userinfo_endpoint"], headers=bearer).json()["email"] == ada.email
        fake.end_sessions(ada)
        assert http.get(metadata["userinfo_endpoint"], headers=bearer).status_code == 401
        again = http.post(metadata["token_endpoint"], data=form, **shown)
        assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


def test_narrower_refresh_revocation_introspection_and_sign_out() -> None:
    fake, out = FakeManifestAuth(), "https://reports.example/bye"
    ada, app = fake.add_user("ada@acme.example", "x"), fake.add_app(CALLBACK, post_logout_redirect_uris=[out])
    other = fake.add_app(CALLBACK)
    fake.at_browser(ada)
    with httpx2.Client(transport=fake.transport) as http:
        metadata = http.get(f"http://auth.example/.well-known/oauth-authorization-server/o/{app.client}").json()
        assert metadata == http.get(f"{app.issuer}/.well-known/openid-configuration").json()

        def send(endpoint: str, by: Any = app, **form: str) -> Any:
            return http.post(metadata[f"{endpoint}_endpoint"], data=form, auth=(by.client_id, by.secret))

        def redeemed(**asked: str) -> tuple[dict[str, str], Any]:
            code = told(http, app.issuer, client_id=app.client_id, **asked)["code"]
            form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
            return {**form, "code": code}, send("token", **form, code=code).json()

        def is_active(token: str, by: Any = app) -> bool:
            return bool(send("introspection", by, token=token).json()["active"])

        form, first = redeemed()
        renewing = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        less = send("token", **renewing, scope="openid").json()
        assert less["scope"] == "openid"
        renewing["refresh_token"] = less["refresh_token"]
        assert send("token", **renewing, scope="openid roles").json()["error"] == "invalid_scope"
        assert send("token", **renewing).json()["scope"] == first["scope"]
        assert (is_active(first["access_token"]), is_active(first["access_token"], other)) == (True, False)
        send("revocation", other, token=first["refresh_token"])
        assert is_active(first["access_token"])
        send("revocation", token=first["refresh_token"])
        assert not is_active(first["access_token"])
        form, second = redeemed()
        assert send("token", **form).json()["error"] == "invalid_grant"
        assert not is_active(second["access_token"])  # its code was sent a second time

        kept, gone = redeemed()[1], redeemed(scope="openid profile")[1]
        bearer = {"Authorization": f"Bearer {gone['access_token']}"}
        assert http.get(metadata["userinfo_endpoint"], headers=bearer).json()["updated_at"] > 0
        assert http.get(f"{app.issuer}/logout?post_logout_redirect_uri=https://evil.example/").status_code == 400
        assert is_active(gone["access_token"])  # rejected, without any effect
        done = http.get(f"{app.issuer}/logout?post_logout_redirect_uri={out}&state=s")
        assert (done.status_code, done.headers["location"]) == (302, f"{out}?state=s")
        assert told(http, app.issuer, client_id=app.client_id)["error"] == "login_required"
        assert (is_active(kept["access_token"]), is_active(gone["access_token"])) == (True, False)
