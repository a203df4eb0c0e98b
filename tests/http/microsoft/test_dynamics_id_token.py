"""In Microsoft Dynamics sign-ins, each check of the ID token rejects on its own, without a request to Dataverse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.interop.microsoft.microsoft_setup import MicrosoftSetup, Provider
from tests.interop.microsoft.people import CONSUMERS, POWER_APP
from tests.interop.microsoft.tokens import ISSUER, STS
from tests.support.matrix import matrix
from tests.support.people import last_reason, users_of
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, check_no_one_got_in

pytestmark = pytest.mark.one_store

_NO_OID = "oid: missing; the app registration must ask for the scope profile"
CONTOSO, FABRIKAM = "c0c0c0c0-1111-4111-8111-111111111111", "fafafafa-2222-4222-8222-222222222222"


async def refused(setup: MicrosoftSetup, provider: Provider, user: str = "alice") -> str:
    """A rejected sign-in, which creates no user; returns the reason in the audit trail."""
    browser, reply = await provider.sign_in(user)
    check_no_one_got_in(reply)
    assert (await browser.me()).status == 401
    assert await users_of(setup.app, provider.client) == {}
    assert setup.microsoft.count("dataverse") == 0
    return await last_reason(setup.app, provider.client)


async def begun(setup: MicrosoftSetup, provider: Provider) -> tuple[Browser, str, str]:
    """A browser that returns from Microsoft, its return address, and the nonce of its sign-in."""
    browser = Browser(setup.app)
    start = await provider.start(browser)
    nonce = start.partition("nonce=")[2].partition("&")[0]
    return browser, setup.microsoft.visit(start), nonce


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a v1.0 issuer": ({"iss": f"{STS}/{CONTOSO}/"}, "ID token: iss"),
    "an issuer without the version": ({"iss": f"{ISSUER}/{CONTOSO}"}, "ID token: iss"),
    "an issuer with a slash too many": ({"iss": f"{ISSUER}/{CONTOSO}/v2.0/"}, "ID token: iss"),
    "the issuer of another directory": ({"iss": f"{ISSUER}/{FABRIKAM}/v2.0"}, "ID token: iss"),
    "the template of common": ({"iss": f"{ISSUER}/{{tenantid}}/v2.0"}, "ID token: iss"),
    "an issuer of another cloud": ({"iss": f"https://login.microsoftonline.us/{CONTOSO}/v2.0"}, "ID token: iss"),
    "no issuer": ({"iss": None}, "ID token: iss"),
    "another directory and its issuer": ({"iss": f"{ISSUER}/{FABRIKAM}/v2.0", "tid": FABRIKAM}, "ID token: iss"),
    "another directory's tid": ({"tid": FABRIKAM}, "tid: a different directory"),
    "the tid of personal accounts": ({"tid": CONSUMERS}, "tid: a different directory"),
    "no tid": ({"tid": None}, "tid: a different directory"),
    "a tid that is a list": ({"tid": [CONTOSO]}, "tid: a different directory"),
    "another app's audience": ({"aud": POWER_APP}, "ID token: aud"),
    "no audience": ({"aud": None}, "ID token: aud"),
    "another app as authorised party": ({"azp": POWER_APP}, "ID token: azp"),
    "another sign-in's nonce": ({"nonce": "A" * 32}, "ID token: nonce"),
    "no nonce": ({"nonce": None}, "ID token: nonce"),
    "no oid": ({"oid": None}, _NO_OID),
    "an oid that is no GUID": ({"oid": "alice@contoso.example"}, _NO_OID),
    "no sub": ({"sub": None}, "ID token: sub"),
}


@matrix("case", WRONG)
async def test_a_claim_that_is_not_as_it_must_be(setup: MicrosoftSetup, case: str) -> None:
    claims, why = WRONG[case]
    provider = await setup.dynamics()
    usual = dict(setup.microsoft.id_claims)
    setup.microsoft.id_claims = {**usual, **claims}
    assert await refused(setup, provider) == why
    setup.microsoft.id_claims = usual
    assert (await provider.sign_in())[1].status == 302


@matrix(("name", "seconds"), [("exp", -61), ("nbf", 61), ("iat", 61), ("exp", None), ("iat", None), ("exp", "soon")])
async def test_a_time_that_is_over_or_has_not_come_or_is_none(setup: MicrosoftSetup, name: str, seconds: Any) -> None:
    provider = await setup.dynamics()
    now = setup.app.clock.now_ms() // 1000
    setup.microsoft.id_claims[name] = now + seconds if isinstance(seconds, int) else seconds
    assert await refused(setup, provider) == f"ID token: {name}"


async def test_a_minute_of_skew_is_let_pass(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    now = setup.app.clock.now_ms() // 1000
    for claims in ({"exp": now - 59}, {"nbf": now + 59, "iat": now + 59}):
        setup.microsoft.id_claims = claims
        assert (await provider.sign_in())[1].status == 302


@rule("MICROSOFT-DIRECTORY")
async def test_a_key_of_another_directory_signs_no_one_in(setup: MicrosoftSetup) -> None:
    """Microsoft's documents contain keys of several directories; each key names the directory that it signs for."""
    provider = await setup.dynamics()
    setup.microsoft.id_key = "fabrikam"
    assert "key isn't one of" in await refused(setup, provider)
    setup.microsoft.id_key = "shared"
    assert (await provider.sign_in())[1].status == 302


HEADERS: dict[str, dict[str, Any]] = {
    "none": {"alg": "none"},
    "NONE": {"alg": "NONE"},
    "the public key as a secret": {"alg": "HS256"},
    "an algorithm of another family": {"alg": "PS256"},
    "no algorithm": {"alg": None},
    "another kind of token": {"typ": "at+jwt"},
    "a key of its own": {"kid": "own", "jwk": {"kty": "RSA"}, "jku": "https://evil.example/keys"},
    "something critical": {"crit": ["exp"]},
}


@matrix("case", HEADERS)
async def test_what_the_header_says_changes_nothing_about_how_it_is_verified(setup: MicrosoftSetup, case: str) -> None:
    provider = await setup.dynamics()
    microsoft = setup.microsoft
    browser, address, nonce = await begun(setup, provider)
    microsoft.token["id_token"] = microsoft.mint("id", claims={"nonce": nonce}, header=HEADERS[case])
    reply = await browser.send("GET", address)
    check_no_one_got_in(reply)
    assert (await last_reason(setup.app, provider.client)).startswith("ID token")
    assert microsoft.count("dataverse") == 0


@rule("VERIFIERS-APART")
@matrix("kind", ["graph", "dataverse", "api", "api-v1"])
async def test_an_access_token_is_no_id_token(setup: MicrosoftSetup, kind: str) -> None:
    provider = await setup.dynamics()
    browser, address, nonce = await begun(setup, provider)
    setup.microsoft.token["id_token"] = setup.microsoft.mint(kind, claims={"nonce": nonce})
    check_no_one_got_in(await browser.send("GET", address))
    assert setup.microsoft.count("dataverse") == 0


@matrix("token", [None, "", "x", "a.b.c", 7, "eyJhbGciOiJub25lIn0.e30.", "." * 3, "a" * 20_000])
async def test_an_invalid_id_token(setup: MicrosoftSetup, token: Any) -> None:
    provider = await setup.dynamics()
    setup.microsoft.token["id_token"] = token
    assert "ID token" in await refused(setup, provider)


async def test_a_token_of_another_directorys_person_is_of_no_one_here(setup: MicrosoftSetup) -> None:
    """Mallory stored Alice's address in another directory, but neither address nor name identifies anyone (nOAuth)."""
    provider = await setup.dynamics(domains=["contoso.example"], dynamics={"trustEmail": True})
    browser, address, nonce = await begun(setup, provider)
    mallory = setup.microsoft.mint(
        "id", "fabrikam", "mallory", claims={"nonce": nonce, "email": "alice@contoso.example", "xms_edov": True}
    )
    setup.microsoft.token["id_token"] = mallory
    check_no_one_got_in(await browser.send("GET", address))
    assert setup.microsoft.count("dataverse") == 0
