"""Machines with API keys, client secrets, and private keys, at the stand-in."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey, RSAKey

from manifest_auth_client import ApiKeyAuth, ClientCredentials, Connection, ManifestAuth, OAuthError, errors
from manifest_auth_client.testing import FakeManifestAuth, FakeService

ME = "/api/client/auth/me"


class Counting(FakeManifestAuth):
    """A stand-in that counts its requests, by path."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.url.path)
        return super()._handle(request)


@pytest.fixture
def fake() -> Counting:
    return Counting()


@pytest.fixture
def service(fake: Counting) -> FakeService:
    return fake.add_service("importer", scopes=["users:read", "jobs:read"])


def credentials(fake: Counting, service: FakeService, **options: Any) -> ClientCredentials:
    """The credentials of a machine, with its secret unless another method is given."""
    given = options if "private_key" in options else {"secret": service.secret, **options}
    connection = Connection(fake.base_url, transport=fake.transport)
    return ClientCredentials(fake.base_url, service.client_id, connection=connection, **given)


def test_a_key_calls_as_its_machine(fake: Counting, service: FakeService) -> None:
    with ManifestAuth(fake.base_url, auth=ApiKeyAuth(fake.base_url, service.key), transport=fake.transport) as auth:
        assert auth.me()["service"]["name"] == "importer"
        with pytest.raises(TypeError, match="no session"):
            auth.sign_in("ada@acme.example", "secret")
        with pytest.raises(errors.Forbidden):
            auth.call("POST", "/api/client/auth/sign-out")


def test_what_a_disabled_account_holds_is_dead(fake: Counting, service: FakeService) -> None:
    with ManifestAuth(fake.base_url, auth=credentials(fake, service), transport=fake.transport) as auth:
        assert auth.me()["service"]["name"] == "importer"
        service.is_disabled = True
        with pytest.raises((errors.InvalidToken, OAuthError)):
            auth.me()


def test_a_key_that_is_not_right_is_rejected(fake: Counting) -> None:
    with ManifestAuth(fake.base_url, auth=ApiKeyAuth(fake.base_url, "mfst_key_no"), transport=fake.transport) as auth:
        with pytest.raises(errors.InvalidToken):
            auth.me()


def test_a_secret_gets_a_token_once(fake: Counting, service: FakeService) -> None:
    machine = credentials(fake, service, scope=["users:read"])
    with httpx2.Client(auth=machine, transport=fake.transport) as http:
        for _ in range(3):
            assert http.get(f"{fake.base_url}{ME}").json()["data"]["service"]["id"] == service.id
    assert fake.asked.count("/oauth2/token") == 1
    assert machine.token().scope == ("users:read",)
    assert machine.token().access_token not in repr(machine.token())


def test_200_threads_and_200_tasks_ask_for_one_token_each_time(fake: Counting, service: FakeService) -> None:
    machine = credentials(fake, service)
    with httpx2.Client(auth=machine, transport=fake.transport) as http, ThreadPoolExecutor(200) as threads:
        answers = list(threads.map(lambda _: http.get(f"{fake.base_url}{ME}").status_code, range(200)))
    assert answers == [200] * 200
    assert fake.asked.count("/oauth2/token") == 1
    fake.advance(901)

    async def ask() -> list[int]:
        async with httpx2.AsyncClient(auth=machine, transport=fake.transport) as client:
            found = await asyncio.gather(*(client.get(f"{fake.base_url}{ME}") for _ in range(200)))
            return [answer.status_code for answer in found]

    assert asyncio.run(ask()) == [200] * 200
    assert fake.asked.count("/oauth2/token") == 2


def test_it_is_renewed_at_four_fifths_of_its_life(fake: Counting, service: FakeService) -> None:
    machine = credentials(fake, service)
    token = machine.token()
    assert token.expires_at - token.renew_at == pytest.approx(180)
    machine._held.put(replace(token, renew_at=0.0))
    assert machine.token().access_token != token.access_token


@pytest.mark.parametrize("kind", ["EC", "RSA"])
@pytest.mark.parametrize("form", ["jwk", "text", "pem"])
def test_a_private_key_proves_a_machine(fake: Counting, service: FakeService, kind: str, form: str) -> None:
    key: Any = ECKey.generate_key("P-256") if kind == "EC" else RSAKey.generate_key(2048)
    service.jwks = {"keys": [{**key.as_dict(private=False), "kid": "one"}]}
    whole = key.as_dict(private=True)
    given = {"jwk": whole, "text": json.dumps(whole), "pem": key.as_pem(private=True)}[form]
    machine = credentials(fake, service, private_key=given, key_id="one")
    assert machine.token().scope == ("users:read", "jobs:read")
    with httpx2.Client(auth=machine, transport=fake.transport) as http:
        fake.advance(901)
        assert http.get(f"{fake.base_url}{ME}").status_code == 200


def test_a_key_without_its_private_half_is_not_taken(fake: Counting, service: FakeService) -> None:
    for given in (ECKey.generate_key("P-256").as_dict(private=False), "no key"):
        with pytest.raises(ValueError, match="no private key"):
            credentials(fake, service, private_key=given)
    with pytest.raises(ValueError, match="either"):
        ClientCredentials(fake.base_url, "svc_1")


def test_refusals_of_oauth_have_their_code(fake: Counting, service: FakeService) -> None:
    with pytest.raises(OAuthError) as refused:
        credentials(fake, service, secret="mfst_sec_wrong").token()
    assert (refused.value.code, refused.value.status) == ("invalid_client", 401)
    assert refused.value.request_id
    with pytest.raises(OAuthError, match="invalid_scope"):
        credentials(fake, service, scope=["users:manage"]).token()
    with httpx2.Client(auth=credentials(fake, service, secret="no"), transport=fake.transport) as http:
        with pytest.raises(OAuthError):
            http.get(f"{fake.base_url}{ME}")
