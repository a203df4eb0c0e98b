"""Features of the fake only: single sign-on codes, expirations on demand, and ends of sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from manifest_auth_client import ManifestAuth, errors
from manifest_auth_client.testing import FakeManifestAuth


@pytest.fixture
def fake() -> FakeManifestAuth:
    made = FakeManifestAuth()
    made.add_user("ada@acme.example", "secret", roles=["Author", "Operator"])
    return made


def test_a_code_of_single_sign_on_signs_in_once(fake: FakeManifestAuth) -> None:
    user = fake.add_user("grace@acme.example", "secret")
    code = fake.code_for(user)
    with ManifestAuth(fake.base_url, transport=fake.transport) as auth:
        assert auth.exchange(code, "verifier").user["email"] == "grace@acme.example"
        with pytest.raises(errors.SsoFailed):
            auth.exchange(code)


def test_roles_add_up(fake: FakeManifestAuth) -> None:
    with ManifestAuth(fake.base_url, transport=fake.transport) as auth:
        auth.sign_in("ada@acme.example", "secret")
        assert set(auth.me()["permissions"]) >= {"templates:edit", "jobs:execute"}


def test_an_expiry_is_survived_and_an_end_is_not(fake: FakeManifestAuth) -> None:
    with ManifestAuth(fake.base_url, transport=fake.transport) as auth:
        user = fake.add_user("grace@acme.example", "secret")
        auth.sign_in("grace@acme.example", "secret")
        fake.expire_access_tokens()
        assert auth.me()["user"]["email"] == "grace@acme.example"
        assert (fake.refreshes, fake.reuses) == (1, 0)
        fake.end_sessions(user)
        with pytest.raises(errors.InvalidToken):
            auth.me()
        auth.sign_in("grace@acme.example", "secret")
        user.is_disabled = True
        with pytest.raises(errors.InvalidToken):
            auth.me()
        with pytest.raises(errors.AccountDisabled):
            auth.sign_in("grace@acme.example", "secret")
        fake.advance(40 * 86400)
        with pytest.raises(errors.TokenExpired):
            auth.refresh()


def test_queries_that_it_does_not_know_are_answered_by_a_function() -> None:
    fake = FakeManifestAuth(on_graphql=lambda query, variables: {"job": {"id": variables["id"]}})
    fake.add_user("ada@acme.example", "secret")
    with ManifestAuth(fake.base_url, transport=fake.transport) as auth:
        auth.sign_in("ada@acme.example", "secret")
        assert auth.graphql("query($id: Int!) { job(id: $id) { id } }", {"id": 7}) == {"job": {"id": 7}}


def test_routes_that_it_does_not_know_are_answered_by_a_function() -> None:
    asked: list[tuple[str, str, dict[str, Any]]] = []

    def answer(method: str, path: str, body: Mapping[str, Any]) -> Any:
        asked.append((method, path, dict(body)))
        if method == "DELETE":
            raise errors.Conflict("The account has a license")
        return {"id": 7}

    fake = FakeManifestAuth(on_rest=answer)
    fake.add_user("ada@acme.example", "secret")
    with ManifestAuth(fake.base_url, transport=fake.transport) as auth:
        auth.sign_in("ada@acme.example", "secret")
        fake.expire_access_tokens()
        assert auth.call("GET", "/api/client/users/7/sessions?state=open") == {"id": 7}
        assert fake.refreshes == 1  # the caller's credential is valid there too
        auth.call("PATCH", "/api/client/settings", {"contact": "Ada"})
        with pytest.raises(errors.Conflict, match="license"):
            auth.call("DELETE", "/api/client/users/7")
        auth.sign_out()
    assert asked == [
        ("GET", "/api/client/users/7/sessions?state=open", {}),
        ("PATCH", "/api/client/settings", {"contact": "Ada"}),
        ("DELETE", "/api/client/users/7", {}),
    ]
    with httpx2.Client(transport=fake.transport, base_url=fake.base_url) as http:
        assert http.post("/api/client/auth/discover", json={"email": "ada@acme.example"}).json()["data"] == {"id": 7}
        assert http.get("/api/client/settings").status_code == 401
        assert http.get("/api/admin/clients").status_code == 404
    assert len(asked) == 4


def test_without_that_function_a_route_is_told_as_such(fake: FakeManifestAuth) -> None:
    with ManifestAuth(fake.base_url, transport=fake.transport) as auth:
        auth.sign_in("ada@acme.example", "secret")
        with pytest.raises(errors.NotFound, match="on_rest"):
            auth.call("GET", "/api/client/settings")
        with pytest.raises(errors.MethodNotAllowed):
            auth.call("DELETE", "/api/client/auth/me")


def test_without_that_function_they_are_told_as_such(fake: FakeManifestAuth) -> None:
    with ManifestAuth(fake.base_url, transport=fake.transport) as auth:
        auth.sign_in("ada@acme.example", "secret")
        with pytest.raises(errors.InternalError, match="on_graphql"):
            auth.graphql("{ jobs { id } }")
