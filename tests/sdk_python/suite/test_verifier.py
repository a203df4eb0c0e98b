"""Resource servers identify a token's user, either through the server or with its keys."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from manifest_auth_client import (
    ClientCredentials,
    Connection,
    ManifestAuth,
    OfflineVerificationUnavailable,
    TokenVerifier,
    errors,
)
from manifest_auth_client.testing import FakeManifestAuth

ISSUER = "http://auth.example"
NONE = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT","kid":"one"}').rstrip(b"=").decode()


@dataclass
class Asked:
    """The stand-in with one user, and a verifier; ``count`` is the number of calls to ``/oauth2/introspect``."""

    fake: FakeManifestAuth
    auth: ManifestAuth
    token: str
    credentials: ClientCredentials
    connection: Connection
    count: int = 0

    def verifier(self, **options: Any) -> TokenVerifier:
        given = {"credentials": self.credentials, "connection": self.connection, **options}
        return TokenVerifier(ISSUER, ["manifest-api", ISSUER], **given)


@pytest.fixture
def asked() -> Iterator[Asked]:
    fake = FakeManifestAuth(ISSUER)
    fake.add_user("ada@acme.example", "secret", roles=["Operator"])
    service = fake.add_service("api", may_introspect=True)

    def count(request: httpx2.Request) -> httpx2.Response:
        found.count += request.url.path == "/oauth2/introspect"
        return fake._handle(request)

    connection = Connection(ISSUER, transport=httpx2.MockTransport(count))
    with ManifestAuth(ISSUER, transport=fake.transport) as auth:
        token = auth.sign_in("ada@acme.example", "secret").tokens.access_token
        credentials = ClientCredentials(ISSUER, service.client_id, secret=service.secret, connection=connection)
        found = Asked(fake, auth, token, credentials, connection)
        yield found


def test_the_server_tells_who_shows_a_users_token(asked: Asked) -> None:
    caller = asked.verifier().verify(asked.token)
    assert (caller.subject, caller.client, caller.username) == ("1", "acme", "ada@acme.example")
    assert caller.roles == ("Operator",)
    assert "jobs:execute" in caller.permissions
    assert caller.client_id is None


def test_it_tells_of_keys_and_service_tokens_too(asked: Asked) -> None:
    service = asked.fake.add_service("importer", scopes=["users:read"])
    by_secret = ClientCredentials(ISSUER, service.client_id, secret=service.secret, connection=asked.connection)
    for token in (service.key, by_secret.token().access_token):
        caller = asked.verifier().verify(token)
        assert (caller.client_id, caller.permissions) == (service.client_id, frozenset({"users:read"}))


async def test_a_sign_out_is_seen_immediately(asked: Asked) -> None:
    verifier = asked.verifier()
    assert (await verifier.averify(asked.token)).username == "ada@acme.example"
    asked.auth.sign_out()
    with pytest.raises(errors.InvalidToken):
        await verifier.averify(asked.token)


def test_an_answer_is_kept_as_long_as_is_said_and_a_refusal_is_not(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = asked.verifier(cache_seconds=30)
    for _ in range(3):
        verifier.verify(asked.token)
    assert asked.count == 1
    asked.auth.sign_out()
    assert verifier.verify(asked.token)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 31)
    for _ in range(2):
        with pytest.raises(errors.InvalidToken):
            verifier.verify(asked.token)
    assert asked.count == 3


def test_an_answer_is_kept_no_longer_than_the_token_lives(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    verifier = asked.verifier(cache_seconds=60)
    ends = verifier.verify(asked.token).expires_at
    assert ends is not None
    monkeypatch.setattr(time, "time", lambda: ends - 10)
    assert verifier.verify(asked.token)
    monkeypatch.setattr(time, "time", lambda: ends + 1)
    with pytest.raises(errors.InvalidToken):
        verifier.verify(asked.token)


def test_tokens_for_others_do_not_count(asked: Asked) -> None:
    asked.fake.add_user("eve@globex.example", "secret", client="globex")
    with ManifestAuth(ISSUER, transport=asked.fake.transport) as auth:
        foreign = auth.sign_in("eve@globex.example", "secret").tokens
    verifier = asked.verifier()
    for token in (foreign.access_token, foreign.refresh_token, "", "x", "a.b.c", "mfst_key_no"):
        with pytest.raises(errors.InvalidToken):
            verifier.verify(token)
    other = TokenVerifier(ISSUER, "another-api", credentials=asked.credentials, connection=asked.connection)
    with pytest.raises(errors.InvalidToken):
        other.verify(asked.token)


@pytest.mark.parametrize("options", [
    {"cache_seconds": 61}, {"cache_seconds": -1}, {"mode": "both"}, {"mode": "jwks"}, {"credentials": None},
])  # fmt: skip
def test_what_does_not_go_together_is_rejected(asked: Asked, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"cache_seconds|mode|introspection"):
        asked.verifier(**options)


class Keys:
    """A server with keys that sign tokens. ``fetches`` is the number of times the keys were requested."""

    def __init__(self) -> None:
        self.keys = [ECKey.generate_key("P-256", {"kid": "one"})]
        self.fetches, self.is_up = 0, True
        self.connection = Connection(ISSUER, transport=httpx2.MockTransport(self._answer))
        self.algorithm, self.verifier = "ES256", self.verifies(client="acme")

    def verifies(self, audience: str | list[str] = "manifest-api", **options: Any) -> TokenVerifier:
        """A verifier that fetches this server's keys."""
        return TokenVerifier(ISSUER, audience, mode="jwks", connection=self.connection, **options)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        assert request.url.path == "/.well-known/jwks.json"
        self.fetches += 1
        if not self.is_up:
            raise httpx2.ConnectError("away")
        public = [{**key.as_dict(private=False), "alg": "ES256", "use": "sig"} for key in self.keys]
        return httpx2.Response(200, json={"keys": public, "access_token_signing_alg": self.algorithm})

    def sign(self, key: ECKey | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        by = key or self.keys[-1]
        full = {"iss": ISSUER, "aud": "manifest-api", "sub": "7", "client": "acme", "exp": time.time() + 60, **claims}
        head = {"alg": "ES256", "typ": "JWT", "kid": by.get("kid"), **(header or {})}
        return jws.serialize_compact(head, json.dumps(full), by)


async def test_keys_verify_without_a_call_for_each_token() -> None:
    keys = Keys()
    for _ in range(3):
        caller = keys.verifier.verify(keys.sign())
        assert (caller.subject, caller.client) == ("7", "acme")
    machine = keys.sign(header={"typ": "at+jwt"}, sub="svc_3", client_id="svc_3", scope="jobs:read jobs:execute")
    assert (await keys.verifier.averify(machine)).permissions == {"jobs:read", "jobs:execute"}
    assert keys.fetches == 1


def test_what_the_keys_did_not_sign_is_rejected() -> None:
    keys, stranger = Keys(), ECKey.generate_key("P-256", {"kid": "one"})
    good = keys.sign()
    head, body, signature = good.split(".")
    for token in (
        keys.sign(stranger), keys.sign(iss="http://other.example"), keys.sign(aud="another-api"), keys.sign(exp=1),
        keys.sign(exp=None), keys.sign(sub=""), keys.sign(header={"typ": "logout+jwt"}),
        f"{NONE}.{body}.", f"{NONE}.{body}.{signature}", f"{head}.{body}.", f"{head}.{body}x.{signature}",
        good[:-4], "", "...", "e30.e30.", "é.é.é",
    ):  # fmt: skip
        with pytest.raises(errors.InvalidToken):
            keys.verifier.verify(token)


@pytest.mark.rule("TOKEN-CLIENT")
def test_the_keys_of_all_clients_verify_for_the_one_that_is_named() -> None:
    keys = Keys()
    with pytest.raises(ValueError, match="client="):
        keys.verifies()
    foreign, machine = keys.sign(client="globex"), keys.sign(header={"typ": "at+jwt"}, client="globex", scope="")
    for token in (foreign, machine, keys.sign(client=None), keys.sign(client=["acme"])):
        with pytest.raises(errors.InvalidToken):
            keys.verifier.verify(token)
    assert keys.verifies(client=None).verify(foreign).client == "globex"
    assert keys.verifies(client="globex").verify(foreign).client == "globex"


def test_what_no_public_key_verifies_is_told_as_such(asked: Asked) -> None:
    """A server without public keys is a configuration error, but a forged token is the caller's error."""
    keys = Keys()
    with pytest.raises(errors.InvalidToken, match="API key"):
        keys.verifier.verify("mfst_key_x")
    assert keys.fetches == 0
    with pytest.raises(errors.InvalidToken):
        keys.verifier.verify(asked.token)
    keys.algorithm = "HS256"
    with pytest.raises(OfflineVerificationUnavailable, match="HS256"):
        keys.verifies(client="acme").verify(asked.token)


def test_what_is_not_in_the_token_is_told_as_such() -> None:
    keys = Keys()
    for what in ("permissions", "roles"):
        with pytest.raises(OfflineVerificationUnavailable, match=f"nothing about {what}"):
            getattr(keys.verifier.verify(keys.sign()), what)
    for audience in ("manifest-api", ["manifest-api", ISSUER]):
        with pytest.raises(OfflineVerificationUnavailable, match="permissions"):
            keys.verifies(audience, client="acme").check_permissions_are_known()
    keys.verifies(ISSUER, client="acme").check_permissions_are_known()


def test_without_the_extra_it_is_told_which_one_to_install(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "joserfc"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "joserfc", None)
    for needs in (
        lambda: TokenVerifier(ISSUER, "manifest-api", mode="jwks", client="acme"),
        lambda: ClientCredentials(ISSUER, "svc_1", private_key="x"),
    ):
        with pytest.raises(ImportError, match=r"manifest-auth-client\[verify\]"):
            needs()
    assert asked.verifier().verify(asked.token)  # introspection doesn't need it


def test_a_new_key_is_fetched_and_unknown_ones_cost_no_fetch_each(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keys()
    keys.verifier.verify(keys.sign())
    for number in range(20):
        with pytest.raises(errors.InvalidToken):
            keys.verifier.verify(keys.sign(header={"kid": f"made-up-{number}"}))
    assert keys.fetches == 1
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 11)
    keys.keys.append(ECKey.generate_key("P-256", {"kid": "two"}))
    assert keys.verifier.verify(keys.sign())
    assert keys.fetches == 2


def test_known_keys_do_while_the_server_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keys()
    keys.is_up = False
    with pytest.raises(httpx2.ConnectError):
        keys.verifier.verify(keys.sign())
    keys.is_up = True
    keys.verifier.verify(keys.sign())
    keys.is_up, now = False, time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 400)
    assert keys.verifier.verify(keys.sign())
