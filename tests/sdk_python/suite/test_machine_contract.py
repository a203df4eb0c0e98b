"""The contract for machines: the stand-in and the server accept the same credentials, with the same results."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from manifest_auth_client import (
    ApiKeyAuth,
    ClientCredentials,
    ManifestAuth,
    OAuthError,
    OfflineVerificationUnavailable,
    TokenVerifier,
    errors,
)
from tests.sdk_python.suite.servers import EMAIL, PASSWORD, Machine, Server

BOTH = ("users:read", "jobs:read")


@pytest.fixture
def machine(server: Server) -> Machine:
    """A Viewer that is limited to ``BOTH`` and can introspect."""
    return server.machine()


def by_secret(server: Server, machine: Machine, **options: Any) -> ClientCredentials:
    return ClientCredentials(server.base_url, machine.client_id, **{"secret": machine.secret, **options})


def test_a_key_calls_as_its_machine(server: Server, machine: Machine) -> None:
    with ManifestAuth(server.base_url, auth=ApiKeyAuth(server.base_url, machine.key)) as auth:
        me = auth.me()
        assert me["service"]["name"] == "robot"
        assert f"svc_{me['service']['id']}" == machine.client_id
        assert me["permissions"] == [*BOTH]
        assert EMAIL in [user["email"] for user in auth.graphql("{ users { email } }")["users"]]
        with pytest.raises(errors.Forbidden):
            auth.call("POST", "/api/client/auth/sign-out")


def test_a_key_that_is_not_right_is_rejected(server: Server) -> None:
    with ManifestAuth(server.base_url, auth=ApiKeyAuth(server.base_url, "mfst_key_no")) as auth:
        with pytest.raises(errors.InvalidToken):
            auth.me()


@pytest.mark.parametrize("proof", ["secret", "private key"])
def test_a_token_calls_as_its_machine_within_its_scope(server: Server, machine: Machine, proof: str) -> None:
    options: dict[str, Any] = {"scope": ["users:read"]}
    if proof == "private key":
        options |= {"secret": None, "private_key": machine.private_key}
    credentials = by_secret(server, machine, **options)
    with ManifestAuth(server.base_url, auth=credentials) as auth:
        me = auth.me()
        assert f"svc_{me['service']['id']}" == machine.client_id
        assert me["permissions"] == ["users:read"]
    token = credentials.token()
    assert token.scope == ("users:read",)
    assert token.expires_at - token.renew_at == pytest.approx(180)


def test_a_token_that_is_rejected_is_renewed_once(server: Server, machine: Machine) -> None:
    credentials = by_secret(server, machine)
    first = credentials.token()
    credentials._held.put(replace(first, access_token=f"{first.access_token[:-8]}AAAAAAAA"))
    with ManifestAuth(server.base_url, auth=credentials) as auth:
        assert auth.me()["service"]["name"] == "robot"
    assert credentials.token().access_token != first.access_token


def test_refusals_have_the_codes_of_the_rfc(server: Server, machine: Machine) -> None:
    with pytest.raises(OAuthError) as refused:
        by_secret(server, machine, secret=machine.secret[:-1] + ("x" if machine.secret[-1] != "x" else "y")).token()
    assert (refused.value.code, refused.value.status) == ("invalid_client", 401)
    assert refused.value.request_id
    with pytest.raises(OAuthError) as refused:
        by_secret(server, machine, scope=["users:manage"]).token()
    assert (refused.value.code, refused.value.status) == ("invalid_scope", 400)


def test_introspection_tells_who_shows_a_token(server: Server, machine: Machine) -> None:
    credentials = by_secret(server, machine)
    verifier = TokenVerifier(server.base_url, ["manifest-api", server.base_url], credentials=credentials)
    with ManifestAuth(server.base_url, client="acme") as auth:
        token = auth.sign_in(EMAIL, PASSWORD).tokens.access_token
        user = verifier.verify(token)
        assert (user.client, user.username, user.roles, user.client_id) == ("acme", EMAIL, ("Author",), None)
        assert user.permissions == {"users:read", "templates:read", "templates:edit", "jobs:read"}
        for shown in (machine.key, credentials.token().access_token):
            caller = verifier.verify(shown)
            assert (caller.subject, caller.client_id) == (machine.client_id, machine.client_id)
            assert (caller.username, caller.roles) == ("robot", ("Viewer",))
            assert caller.permissions == {*BOTH}
        auth.sign_out()
        for shown in (token, "x", "a.b.c", machine.secret):
            with pytest.raises(errors.InvalidToken):
                verifier.verify(shown)


def test_what_the_keys_of_the_server_can_verify(server: Server, machine: Machine) -> None:
    """Public keys verify tokens of services and users, except the stand-in's, which has none; API keys have no public
    key."""
    verifier = TokenVerifier(server.base_url, ["manifest-api", server.base_url], mode="jwks", client="acme")
    with ManifestAuth(server.base_url, client="acme") as auth:
        users = auth.sign_in(EMAIL, PASSWORD).tokens.access_token
    if server.fake is not None:
        with pytest.raises(OfflineVerificationUnavailable, match="HS256"):
            verifier.verify(users)
    else:
        assert verifier.verify(users).client == "acme"
    with pytest.raises(errors.InvalidToken, match="API key"):
        verifier.verify(machine.key)
    token = by_secret(server, machine).token().access_token
    if server.fake is not None:  # it has no key pair
        with pytest.raises(OfflineVerificationUnavailable):
            verifier.verify(token)
        return
    caller = verifier.verify(token)
    assert (caller.subject, caller.client, caller.permissions) == (machine.client_id, "acme", frozenset(BOTH))
