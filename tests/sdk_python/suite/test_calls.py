"""The contract of the calls: the stand-in and the server respond in the same way."""

from __future__ import annotations

import httpx2
import pytest

from manifest_auth_client import AsyncManifestAuth, ManifestAuth, ManifestAuthError, SessionAuth, errors
from manifest_auth_client.testing import FakeManifestAuth
from tests.sdk_python.suite.servers import EMAIL, GUARDED, PASSWORD, Server


def test_a_sign_in_says_who_signed_in(server: Server) -> None:
    with ManifestAuth(server.base_url, client="acme") as auth:
        signed_in = auth.sign_in(EMAIL, PASSWORD)
        assert signed_in.user["email"] == EMAIL
        assert signed_in.user["roles"] == ["Author"]
        assert signed_in.user["clientId"] == "acme"
        assert not signed_in.tokens.is_due
        assert signed_in.tokens.access_token not in repr(signed_in)
        assert signed_in.tokens.refresh_token not in repr(signed_in)
        assert "token" not in signed_in.data


def test_a_backend_passes_on_the_address_of_its_user_with_sign_ins_alone() -> None:
    seen, fake = [], FakeManifestAuth()
    fake.add_user(EMAIL, PASSWORD)

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.headers.get("manifest-forwarded-for"), request.headers.get("authorization", "")))
        return fake.transport.handle_request(request)

    transport, forwarded = httpx2.MockTransport(answer), ("mfst_key_x", "203.0.113.9")
    with ManifestAuth(fake.base_url, client="acme", transport=transport, forwarded=forwarded) as auth:
        auth.sign_in(EMAIL, PASSWORD)
        auth.me()
    assert seen[0] == ("203.0.113.9", "Bearer mfst_key_x")
    assert seen[1][0] is None
    assert "mfst_key_x" not in seen[1][1]


def test_me_tells_what_the_user_can_do(auth: ManifestAuth) -> None:
    me = auth.me()
    assert me["user"]["email"] == EMAIL
    assert me["client"]["identifier"] == "acme"
    assert me["roles"] == ["Author"]
    assert me["permissions"] == ["users:read", "templates:read", "templates:edit", "jobs:read"]


def test_graphql_gives_data(auth: ManifestAuth) -> None:
    users = auth.graphql("{ users { id email firstName } }")["users"]
    assert {"email": EMAIL, "firstName": "Arthur"}.items() <= next(u for u in users if u["email"] == EMAIL).items()
    assert auth.graphql("{ me { email } }")["me"] == {"email": EMAIL}


def test_a_wrong_password_is_rejected_by_its_class(server: Server) -> None:
    with ManifestAuth(server.base_url, client="acme") as auth, pytest.raises(errors.InvalidCredentials) as refused:
        auth.sign_in(EMAIL, "not the password")
    assert (refused.value.code, refused.value.status) == ("INVALID_CREDENTIALS", 401)
    assert refused.value.message == "Invalid email or password"
    assert refused.value.request_id
    assert refused.value.request_id in str(refused.value)


def test_what_is_wrong_with_a_request_is_in_details(server: Server) -> None:
    with ManifestAuth(server.base_url) as auth, pytest.raises(errors.ValidationError) as refused:
        auth.exchange("")
    assert [detail.field for detail in refused.value.details] == ["code"]


def test_an_unknown_code_signs_no_one_in(server: Server) -> None:
    with ManifestAuth(server.base_url) as auth, pytest.raises(errors.SsoFailed, match="no longer valid"):
        auth.exchange("A" * 43)


def test_routes_without_a_method_of_their_own_are_called(auth: ManifestAuth) -> None:
    assert auth.call("GET", "/api/client/auth/me")["user"]["email"] == EMAIL
    with pytest.raises(errors.NotFound):
        auth.call("GET", "/api/client/nothing-there")
    with pytest.raises(errors.MethodNotAllowed):
        auth.call("DELETE", "/api/client/auth/me")


def test_a_second_factor_continues_by_its_challenge(server: Server) -> None:
    with ManifestAuth(server.base_url, client="acme") as auth:
        with pytest.raises(errors.MfaRequired) as due:
            auth.sign_in(GUARDED, PASSWORD)
        assert due.value.expires_in == 600
        assert "otp" in [detail.field for detail in due.value.details]
        with pytest.raises(errors.MfaRequired) as wrong:
            auth.continue_sign_in(due.value.challenge, otp="000000")
        assert wrong.value.challenge == due.value.challenge
        assert auth.continue_sign_in(due.value.challenge, **server.second_factor()).user["email"] == GUARDED
        assert auth.me()["user"]["email"] == GUARDED
        with pytest.raises(errors.InvalidToken):
            auth.continue_sign_in(due.value.challenge, otp="123456")


def test_a_sign_out_ends_the_session_everywhere(server: Server, auth: ManifestAuth) -> None:
    kept = auth.session.tokens
    assert kept is not None
    auth.sign_out()
    assert auth.session.tokens is None
    with pytest.raises(errors.Unauthenticated):
        auth.me()
    with httpx2.Client(auth=SessionAuth(kept)) as other, pytest.raises(errors.InvalidToken):
        other.get(f"{server.base_url}/api/client/auth/me")
    auth.sign_out()  # a second time ends nothing, and isn't an error
    auth.sign_in(EMAIL, PASSWORD)
    with httpx2.Client(auth=SessionAuth(auth.session.tokens)) as other:
        assert other.post(f"{server.base_url}/api/client/auth/sign-out").status_code == 200
    auth.sign_out()  # an ended session
    assert auth.session.tokens is None
    auth.sign_in(EMAIL, PASSWORD)
    assert auth.me()["user"]["email"] == EMAIL


def test_a_sign_in_leaves_earlier_sessions_alone(server: Server) -> None:
    with ManifestAuth(server.base_url, client="acme") as auth:
        first = auth.sign_in(EMAIL, PASSWORD).tokens
        auth.sign_in(EMAIL, PASSWORD)
    with httpx2.Client(auth=SessionAuth(first)) as other:
        assert other.get(f"{server.base_url}/api/client/auth/me").status_code == 200


async def test_tasks_have_the_same_calls(server: Server) -> None:
    async with AsyncManifestAuth(server.base_url, client="acme") as auth:
        assert (await auth.sign_in(EMAIL, PASSWORD)).user["email"] == EMAIL
        assert (await auth.me())["roles"] == ["Author"]
        assert (await auth.graphql("{ me { email } }"))["me"]["email"] == EMAIL
        before = auth.session.tokens
        assert await auth.refresh() != before
        assert (await auth.call("GET", "/api/client/auth/me"))["roles"] == ["Author"]
        with pytest.raises(errors.SsoFailed):
            await auth.exchange("A" * 43)
        await auth.sign_out()
        with pytest.raises(errors.Unauthenticated):
            await auth.me()
        with pytest.raises(errors.MfaRequired) as due:
            await auth.sign_in(GUARDED, PASSWORD)
        await auth.continue_sign_in(due.value.challenge, **server.second_factor())


def test_an_answer_that_is_not_the_servers_is_told_as_such() -> None:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(502, text="<h1>Bad gateway</h1>"))
    with ManifestAuth("http://auth.example", transport=transport) as auth:
        with pytest.raises(ManifestAuthError) as failed:
            auth.sign_in(EMAIL, PASSWORD)
    assert (type(failed.value), failed.value.status, failed.value.code) == (ManifestAuthError, 502, "")


def test_no_cookie_is_kept() -> None:
    """The cookie of one sign-in would end that session at the next one."""
    fake, seen = FakeManifestAuth(), []
    fake.add_user("ada@acme.example", "secret")

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.headers.get("cookie"))
        given = fake._handle(request)
        given.headers["set-cookie"] = "session=x; Path=/"
        return given

    with ManifestAuth(fake.base_url, transport=httpx2.MockTransport(answer)) as auth:
        auth.sign_in("ada@acme.example", "secret")
        auth.sign_in("ada@acme.example", "secret")
        auth.me()
    assert seen == [None] * 3
