"""The client for Microsoft: the keys that can sign, and the responses that are valid."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from joserfc.jws import JWSRegistry

from manifest_auth.protocols.microsoft import (
    Accepted,
    Claims,
    Cloud,
    Clouds,
    Microsoft,
    MicrosoftRefused,
    Throttled,
    check,
    read,
)
from manifest_auth.runtime.outgoing import Deadline, Outgoing
from manifest_auth.runtime.outgoing_guard import Unreachable
from manifest_auth.runtime.settings import load
from tests.interop.microsoft import error_bodies, tokens
from tests.interop.microsoft.people import ORGANIZATION, ORGANIZATION_ID, OUR_SECRET, OURS, POWER_APP
from tests.interop.microsoft.stand_in import Standin, standin
from tests.interop.microsoft.tokens import ISSUER, SHARED, STS
from tests.runtime.outgoing.outgoing_calls import TENANT
from tests.support.application import FrozenClock
from tests.support.matrix import matrix
from tests.support.oidc_socket import Answer

CONTOSO, FABRIKAM = "c0c0c0c0-1111-4111-8111-111111111111", "fafafafa-2222-4222-8222-222222222222"
ALICE = "aaaaaaaa-0000-4000-8000-000000000001"
KINDS = matrix("kind", ["api", "api-v1"])


@dataclass
class Caller:
    """Microsoft and our client for it, with one clock."""

    microsoft: Standin
    calls: Microsoft
    cloud: Cloud
    clock: FrozenClock

    def deadline(self) -> Deadline:
        return Deadline(TENANT, asyncio.get_running_loop().time() + 2)

    def claims(self, token: str, directory: str = CONTOSO) -> Claims:
        ours = frozenset({OURS, f"api://{OURS}"})
        accepted = Accepted(directory, self.cloud, frozenset({POWER_APP}), ours, frozenset(), False, False)
        return check(read(token) or {}, accepted, self.clock.now_ms())

    async def verify(self, token: str) -> None:
        await self.calls.verify(token, self.claims(token), self.cloud, self.deadline())

    async def is_good(self, token: str) -> bool:
        try:
            await self.verify(token)
        except MicrosoftRefused:
            return False
        return True

    def publish(self, *keys: dict[str, Any]) -> None:
        """Replace the keys, and clear everything cached."""
        self.microsoft.answers["keys"] = Answer.json({"keys": keys})
        self.clock.advance(3601)


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    clock = FrozenClock()
    outgoing = Outgoing(load({"MANIFEST_PROVIDER_TIMEOUT": "30"}))
    with standin(clock) as microsoft:
        clouds = Clouds("custom", microsoft.settings["MANIFEST_MICROSOFT_CUSTOM_CLOUD"])
        yield Caller(microsoft, Microsoft(outgoing, clock, clouds), clouds.get(""), clock)
    await outgoing.close()


class TestKeys:
    """A document of keys contains those of several directories, each with the directory that it signs for."""

    @KINDS
    @matrix(
        ("issuer", "fits"),
        [
            (f"{ISSUER}/{CONTOSO}/v2.0", True),
            (f"{STS}/{CONTOSO}/", True),
            (f"{ISSUER}/{{tenantid}}/v2.0", True),
            (f"{STS}/{{tenantid}}/", True),
            (None, True),  # v1.0 documents don't say
            (f"{ISSUER}/{FABRIKAM}/v2.0", False),
            (f"{STS}/{FABRIKAM}/", False),
            (f"{ISSUER}/{CONTOSO}/v2.0/", False),
            (f"{ISSUER}/{CONTOSO}", False),
            (f"{ISSUER}/{{tenantid}}", False),
            (f"{ISSUER}/{{TENANTID}}/v2.0", False),
            (f"{ISSUER}/{{tenantid}}/v1.0", False),
            ("{tenantid}", False),
            ("https://login.microsoftonline.us/{tenantid}/v2.0", False),
            ("", False),
        ],
    )
    async def test_whose_tokens_a_key_signs(self, caller: Caller, kind: str, issuer: str | None, fits: bool) -> None:
        key = tokens.published(SHARED, issuer or "")
        if issuer is None:
            del key["issuer"]
        caller.publish(key)
        assert await caller.is_good(caller.microsoft.mint(kind, key_of=SHARED)) == fits

    @KINDS
    async def test_the_one_that_the_token_names(self, caller: Caller, kind: str) -> None:
        template = f"{ISSUER}/{{tenantid}}/v2.0"
        own, shared = tokens.published(CONTOSO, template), tokens.published(SHARED, template)
        caller.publish(own, shared)
        assert await caller.is_good(caller.microsoft.mint(kind))
        assert await caller.is_good(caller.microsoft.mint(kind, key_of=SHARED))
        assert not await caller.is_good(caller.microsoft.mint(kind, header={"kid": shared["kid"]}))
        assert not await caller.is_good(caller.microsoft.mint(kind, header={"kid": "unknown"}))

    async def test_a_document_for_each_version_of_tokens(self, caller: Caller) -> None:
        await caller.verify(caller.microsoft.mint("api"))
        await caller.verify(caller.microsoft.mint("api-v1"))
        paths = [asked.path for asked in caller.microsoft.asked]
        assert paths == [f"/{CONTOSO}/discovery/v2.0/keys", f"/{CONTOSO}/discovery/keys"]

    async def test_they_are_kept_for_an_hour_and_no_longer(self, caller: Caller) -> None:
        for seconds, fetched in ((0, 1), (3599, 1), (1, 2)):
            caller.clock.advance(seconds)
            await caller.verify(caller.microsoft.mint("api"))
            assert caller.microsoft.count("keys") == fetched
        caller.microsoft.answers["keys"] = Answer(503)
        caller.clock.advance(3600)
        with pytest.raises(Unreachable):
            await caller.verify(caller.microsoft.mint("api"))

    async def test_a_key_that_is_new_is_looked_for_once_a_minute(self, caller: Caller) -> None:
        template = f"{ISSUER}/{{tenantid}}/v2.0"
        caller.publish(tokens.published(SHARED, template))
        token = caller.microsoft.mint("api", lifetime=20_000)
        assert not await caller.is_good(token)
        assert not await caller.is_good(token)
        fetched = caller.microsoft.count("keys")
        del caller.microsoft.answers["keys"]
        assert not await caller.is_good(token)
        caller.clock.advance(61)
        assert await caller.is_good(token)
        assert (fetched, caller.microsoft.count("keys")) == (2, 3)

    @matrix("algorithm", ["none", "HS256", "RS384", "ES256", "PS256"])
    async def test_one_algorithm(self, caller: Caller, algorithm: str) -> None:
        assert not await caller.is_good(caller.microsoft.mint("api", header={"alg": algorithm}))

    @matrix("algorithm", ["RS256", "RS384", "RS512", "PS256"])
    async def test_other_algorithms_of_the_right_key_are_rejected(self, caller: Caller, algorithm: str) -> None:
        header, payload = tokens.parts(caller.microsoft.mint("api"))
        text = f"{tokens.coded({**header, 'alg': algorithm})}.{tokens.coded(payload)}"
        signature = JWSRegistry.algorithms[algorithm].sign(text.encode(), tokens.key(CONTOSO))
        assert await caller.is_good(f"{text}.{tokens.b64(signature)}") == (algorithm == "RS256")


class TestGraph:
    async def me(self, caller: Caller, answer: Answer | None = None) -> Any:
        if answer is not None:
            caller.microsoft.answers["graph"] = answer
        return await caller.calls.profile(caller.microsoft.mint("graph"), caller.cloud, caller.deadline())

    async def test_a_person(self, caller: Caller) -> None:
        found = await self.me(caller)
        assert found == (ALICE, "Alice", "Liddell", "alice@contoso.example", False, False)
        [asked] = caller.microsoft.asked
        assert asked.query["$select"].split(",") == [
            "id", "givenName", "surname", "mail", "accountEnabled", "userType",
        ]  # fmt: skip

    @matrix(
        ("told", "found"),
        [
            ({"mail": None, "givenName": None, "surname": None}, (ALICE, "", "", None, False, False)),
            ({"mail": 7, "givenName": ["x"], "surname": {}}, (ALICE, "", "", None, False, False)),
            ({"id": ALICE.upper(), "userType": "Guest"}, (ALICE, "Alice", "Liddell", "a@b.example", True, False)),
            ({"userType": "guest"}, (ALICE, "Alice", "Liddell", "a@b.example", False, False)),
            ({"accountEnabled": False}, (ALICE, "Alice", "Liddell", "a@b.example", False, True)),
            ({"givenName": "A\u200bl"}, (ALICE, "A\u200bl", "Liddell", "a@b.example", False, False)),  # cleaned later
        ],
    )  # fmt: skip
    async def test_the_data_of_a_person(self, caller: Caller, told: dict[str, Any], found: tuple[Any, ...]) -> None:
        usual = {"id": ALICE, "givenName": "Alice", "surname": "Liddell", "mail": "a@b.example"}
        assert await self.me(caller, Answer.json({**usual, **told})) == found

    @matrix("status", [400, 401, 403, 404, 410, 418])
    async def test_no(self, caller: Caller, status: int) -> None:
        with pytest.raises(MicrosoftRefused, match=f"graph returned {status}: Authorization_RequestDenied"):
            await self.me(caller, error_bodies.graph("Authorization_RequestDenied", "no", 0, status))

    @matrix("body", [b"", b"no", b"[]", b'{"error": 7}', b'{"error": {"code": ["x"]}}', b'{"error": "\\n"}'])
    async def test_no_without_a_number_that_can_be_logged(self, caller: Caller, body: bytes) -> None:
        with pytest.raises(MicrosoftRefused, match="graph returned 403: no code"):
            await self.me(caller, Answer(403, {}, body))

    @matrix("status", [201, 204, 206, 302, 304, 500, 502, 504])
    async def test_an_unclear_response(self, caller: Caller, status: int) -> None:
        with pytest.raises(Unreachable):
            await self.me(caller, Answer(status, {}, b'{"id": "x"}'))

    @matrix(("status", "told", "seconds"), [(429, "7", 7), (503, "9000", 300), (429, "x", 1), (503, "", 1)])
    async def test_later(self, caller: Caller, status: int, told: str, seconds: int) -> None:
        with pytest.raises(Throttled) as throttled:
            await self.me(caller, Answer(status, {"Retry-After": told}))
        assert throttled.value.seconds == seconds

    @matrix("person", ["48d318875fad4d73", "alice@contoso.example", "", f"{ALICE}0"])
    async def test_a_user_outside_the_directory(self, caller: Caller, person: str) -> None:
        with pytest.raises(MicrosoftRefused, match="returned no user"):
            await self.me(caller, Answer.json({"id": person}))


class TestOnBehalf:
    async def exchanged(self, caller: Caller, token: str, secret: str = OUR_SECRET) -> str:
        return await caller.calls.on_behalf_of(token, CONTOSO, OURS, secret, caller.cloud, caller.deadline())

    async def test_a_token_for_graph_in_exchange(self, caller: Caller) -> None:
        given = await self.exchanged(caller, caller.microsoft.mint("api"))
        assert (await caller.calls.profile(given, caller.cloud, caller.deadline())).id == ALICE
        [asked] = [asked for asked in caller.microsoft.asked if asked.endpoint == "token"]
        assert asked.path == f"/{CONTOSO}/oauth2/v2.0/token"
        assert asked.form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        assert asked.form["requested_token_use"] == "on_behalf_of"

    async def test_no(self, caller: Caller) -> None:
        for token, secret in (
            (caller.microsoft.mint("api", "fabrikam"), OUR_SECRET),
            (caller.microsoft.mint("api", key_of="fabrikam"), OUR_SECRET),
            (caller.microsoft.mint("api", lifetime=-1), OUR_SECRET),
            (caller.microsoft.mint("api"), "wrong"),
            ("x.y.z", OUR_SECRET),
        ):
            with pytest.raises(MicrosoftRefused, match=r"on behalf of returned 40[01]: invalid_"):
                await self.exchanged(caller, token, secret)

    @matrix("given", [None, 7, [], {}])
    async def test_yes_without_a_token(self, caller: Caller, given: Any) -> None:
        caller.microsoft.token = {"access_token": given}
        with pytest.raises(MicrosoftRefused, match="no access token"):
            await self.exchanged(caller, caller.microsoft.mint("api"))


async def test_an_environment_says_who_one_is(caller: Caller) -> None:
    token = caller.microsoft.mint("dataverse")
    found = await caller.calls.who_am_i(token, ORGANIZATION, caller.cloud, caller.deadline())
    assert found == ("5a5a5a5a-0000-4000-8000-000000000001", ORGANIZATION_ID)
    with pytest.raises(MicrosoftRefused):
        await caller.calls.who_am_i(caller.microsoft.mint("graph"), ORGANIZATION, caller.cloud, caller.deadline())
    for odd in ({"UserId": None}, {"UserId": 7}, {"OrganizationId": "x"}, {"UserId": ["a"]}):
        caller.microsoft.who_am_i = odd
        with pytest.raises(MicrosoftRefused, match="returned no user"):
            await caller.calls.who_am_i(token, ORGANIZATION, caller.cloud, caller.deadline())
