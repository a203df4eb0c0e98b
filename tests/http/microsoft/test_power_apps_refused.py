"""Genuine Power Apps tokens with claims that identify no person or no accepted application.

All of them have valid signatures, and Graph would accept those intended for it. So each is rejected by one of our
checks, and a provider without settings for them accepts nobody.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.interop.microsoft.people import CONSUMERS, ORGANIZATION, OTHER_APP, OURS, POWER_APP
from tests.support.accounts import trail
from tests.support.envelope import check_refusal
from tests.support.matrix import matrix
from tests.support.oidc_socket import Asked
from tests.support.people import users_of
from tests.support.rows import change_rows, rows
from tests.support.rules import rule

pytestmark = pytest.mark.one_store

CONTOSO, FABRIKAM = "c0c0c0c0-1111-4111-8111-111111111111", "fafafafa-2222-4222-8222-222222222222"
LOGIN, STS = "https://login.microsoftonline.com", "https://sts.windows.net"
NO_TEXT: list[Any] = [None, "", 7, True, [], {}, ["x"], {"x": 1}]
NO_TIME: list[Any] = ["1800000000", True, [], {}, -1, 2**53]
WRONG_KINDS: list[Any] = ["app", "device", "", 7, ["user"]]

#: Claims that a token for our application or for Graph must not contain; None omits the claim.
WRONG: dict[str, list[dict[str, Any]]] = {
    "directory": [{"tid": wrong} for wrong in [*NO_TEXT, FABRIKAM, CONSUMERS, "common", f"{CONTOSO} ", [CONTOSO]]],
    "application": [
        *[{"appid": wrong, "azp": None} for wrong in [*NO_TEXT, OTHER_APP, OURS, [POWER_APP]]],
        *[{"appid": None, "azp": wrong} for wrong in [*NO_TEXT, OTHER_APP, OURS, [POWER_APP]]],
        {"appid": POWER_APP, "azp": OTHER_APP},
        {"appid": OTHER_APP, "azp": POWER_APP},
        {"appid": 7, "azp": POWER_APP},
        {"appid": POWER_APP, "azp": [POWER_APP]},
    ],
    "person": [{"oid": wrong} for wrong in [*NO_TEXT, "alice@contoso.example", "0123456789abcdef"]],
    "audience": [
        {"aud": wrong}
        for wrong in [
            *NO_TEXT, POWER_APP, OTHER_APP, f"api://{OTHER_APP}", ORGANIZATION, f"{OURS}/", f"API://{OURS}",
            "https://graph.windows.net", "00000002-0000-0000-c000-000000000000", "https://graph.microsoft.com/v1.0",
            "https://graph.microsoft.com.evil.example", "https://graph.microsoft.us", [OURS], [OURS, POWER_APP],
        ]
    ],
    "version": [{"ver": wrong} for wrong in [*NO_TEXT, 1.0, 2.0, "1", "3.0", ["2.0"]]],
    "scope": [{"scp": wrong} for wrong in [*NO_TEXT, " ", ["access_as_user", "User.Read"]]],
    "kind": [{"idtyp": wrong} for wrong in WRONG_KINDS],
    "end": [{"exp": wrong} for wrong in [None, 1e300, *NO_TIME]],
    "begin": [{"nbf": wrong} for wrong in [1_800_000_061, *NO_TIME]],
    "issued": [{"iat": wrong} for wrong in [1_800_000_061, *NO_TIME]],
}  # fmt: skip


@matrix("what", WRONG)
@matrix("kind", ["graph", "api", "api-v1"])
async def test_a_claim_that_is_not_as_it_must_be(setup: MicrosoftSetup, kind: str, what: str) -> None:
    provider = await setup.entra_of_ours()
    usual = setup.microsoft.mint(kind)
    for claims in WRONG[what]:
        await setup.refused(setup.microsoft.mint(kind, claims=claims))
        await setup.forgive()
    assert (setup.microsoft.count("graph"), setup.microsoft.count("keys")) == (0, 0)  # the token was sufficient
    assert await users_of(setup.app, provider.client) == {}
    await setup.me(usual)


@rule("MICROSOFT-DIRECTORY")
@matrix(
    "issuer",
    [
        f"{LOGIN}/{FABRIKAM}/v2.0",
        f"{STS}/{FABRIKAM}/",
        f"{LOGIN}/common/v2.0",
        f"{LOGIN}/organizations/v2.0",
        f"{LOGIN}/{{tenantid}}/v2.0",
        f"{LOGIN}/{CONTOSO}/v2.0/",
        f"{LOGIN}/{CONTOSO}",
        f"{LOGIN}/{CONTOSO}/v2.0/../../{FABRIKAM}/v2.0",
        f"{STS}/{CONTOSO}",
        f"{STS}/{CONTOSO.upper()}/",
        f"{STS}/{CONTOSO}/v2.0",
        f"http://login.microsoftonline.com/{CONTOSO}/v2.0",
        f"{LOGIN}.evil.example/{CONTOSO}/v2.0",
        f"https://login.microsoftonline.us/{CONTOSO}/v2.0",
        f"{LOGIN}/tfp/{CONTOSO}/b2c_1_signin/v2.0/",  # Azure AD B2C's
        f"https://contoso.b2clogin.com/{CONTOSO}/v2.0/",
        f"https://contoso.ciamlogin.com/{CONTOSO}/v2.0",
    ],
)
@matrix("kind", ["graph", "api"])
async def test_an_issuer_that_does_not_fit_the_directory(setup: MicrosoftSetup, kind: str, issuer: str) -> None:
    """The key's owner can sign for every directory; only matching ``tid`` and ``iss`` bind the token to one."""
    await setup.entra_of_ours()
    for claims in ({"iss": issuer}, {"iss": issuer, "ver": "1.0"}, {"iss": issuer, "ver": "2.0"}):
        await setup.refused(setup.microsoft.mint(kind, claims=claims, key_of="shared"))


@matrix("issuer", [None, "", 7, True, ["https://sts.windows.net/"], {}])
async def test_an_issuer_that_is_none(setup: MicrosoftSetup, issuer: Any) -> None:
    await setup.entra_of_ours()
    for kind in ("graph", "api"):
        await setup.refused(setup.microsoft.mint(kind, claims={"iss": issuer}))


@rule("MICROSOFT-DIRECTORY")
async def test_issuer_and_version_must_fit_each_other(setup: MicrosoftSetup) -> None:
    await setup.entra_of_ours()
    await setup.refused(setup.microsoft.mint("api", claims={"ver": "1.0"}))
    await setup.refused(setup.microsoft.mint("api-v1", claims={"ver": "2.0"}))


@rule("MICROSOFT-AUDIENCE")
async def test_another_apps_token_for_graph_which_graph_accepts(setup: MicrosoftSetup) -> None:
    """This is the confused deputy attack: any app that Alice signed in to has such a token, and Graph accepts it."""
    await setup.entra_of_ours()
    stolen = setup.microsoft.mint("graph", app=OTHER_APP)
    await setup.refused(stolen)
    assert setup.microsoft.count("graph") == 0
    asked = Asked("GET", "/v1.0/me", {}, {"authorization": f"Bearer {stolen}"}, {})
    assert setup.microsoft.answer(asked).status == 200


@rule("MICROSOFT-PERSON")
@matrix("kind", ["graph", "api", "api-v1"])
async def test_another_directorys_person_with_someone_elses_address(setup: MicrosoftSetup, kind: str) -> None:
    """nOAuth: Mallory controls another directory, and stored Alice's address in her own account there."""
    provider = await setup.entra_of_ours(domains=["contoso.example"], entra={"trustEmail": True})
    alice = await setup.me(setup.microsoft.mint(kind))
    for claims in ({}, {"email": "alice@contoso.example", "upn": "alice@contoso.example", "xms_edov": True}):
        foreign = setup.microsoft.mint(kind, "fabrikam", "mallory", claims=claims)
        await setup.refused(foreign)
        # The right directory's ID next to another issuer, or Alice's ID, doesn't help either.
        await setup.refused(setup.microsoft.mint(kind, "fabrikam", "mallory", claims={**claims, "tid": CONTOSO}))
        oid = setup.microsoft.named("contoso").people["alice"].oid
        await setup.refused(setup.microsoft.mint(kind, "fabrikam", "mallory", claims={**claims, "oid": oid}))
    assert list(await users_of(setup.app, provider.client)) == [alice["user"]["email"]]


@rule("MICROSOFT-AUDIENCE")
@matrix("kind", ["id", "dataverse"])
async def test_tokens_for_something_else(setup: MicrosoftSetup, kind: str) -> None:
    await setup.entra_of_ours()
    await setup.refused(setup.microsoft.mint(kind))
    await setup.refused(setup.microsoft.mint(kind, app=OURS))


async def test_an_id_token_with_what_access_tokens_have(setup: MicrosoftSetup) -> None:
    """It's for our application and signed by the directory, but it was issued to our app, not to a listed one."""
    await setup.entra_of_ours()
    await setup.refused(setup.microsoft.mint("id", claims={"azp": OURS, "scp": "access_as_user"}))


@rule("MICROSOFT-USERS-ONLY")
async def test_a_token_of_an_app_alone(setup: MicrosoftSetup) -> None:
    await setup.entra_of_ours()
    alone = {"scp": None, "idtyp": "app", "roles": ["User.Read.All", "access_as_user"]}
    for kind in ("graph", "api", "api-v1"):
        await setup.refused(setup.microsoft.mint(kind, claims=alone))
        await setup.refused(setup.microsoft.mint(kind, claims={**alone, "idtyp": None}))
        await setup.refused(setup.microsoft.mint(kind, claims={**alone, "scp": "access_as_user User.Read"}))


async def test_a_scope_that_the_client_asks_for(setup: MicrosoftSetup) -> None:
    provider = await setup.entra_of_ours(entra={"scopes": ["access_as_user", "jobs"]})
    for scope in ("other", "access_as_users", "Access_As_User", "access_as_user,jobs"):
        await setup.refused(setup.microsoft.mint("api", claims={"scp": scope}))
    await setup.me(setup.microsoft.mint("api", claims={"scp": "jobs"}))
    await setup.me(setup.microsoft.mint("graph"))  # with Graph's own scopes
    assert [event.event for event in await trail(setup.app, provider.client)].count("sign_in_failed") == 0


async def test_a_kind_of_token_that_the_client_did_not_ask_for(setup: MicrosoftSetup) -> None:
    await setup.entra()  # without its own application
    await setup.refused(setup.microsoft.mint("api"))
    await setup.refused(setup.microsoft.mint("api-v1"))
    await setup.clear()
    await setup.entra_of_ours(entra={"graphTokens": False})
    await setup.refused(setup.microsoft.mint("graph"))
    assert setup.microsoft.count("graph") == 0
    await setup.me(setup.microsoft.mint("api"))


async def test_an_app_id_uri_that_is_not_configured(setup: MicrosoftSetup) -> None:
    await setup.entra_of_ours()
    await setup.refused(setup.microsoft.mint("api-v1", claims={"aud": "api://manifest.contoso.example"}))


@rule("MICROSOFT-DIRECTORY")
async def test_a_directory_that_is_bound_to_no_client(setup: MicrosoftSetup) -> None:
    await setup.entra()
    await setup.refused(setup.microsoft.mint("graph", "fabrikam"))
    assert setup.microsoft.count("graph") == 0


@rule("MICROSOFT-DIRECTORY")
async def test_personal_accounts(setup: MicrosoftSetup) -> None:
    """All personal accounts share one directory, so it isn't an organization. No provider for it can be saved, and
    existing ones accept nobody."""
    provider = await setup.entra_of_ours(entra={"guests": True})
    change = {"entra": {"directory": CONSUMERS, "clientSecret": "another"}}
    check_refusal(await provider.send("PATCH", "", change), 400, "VALIDATION_ERROR")
    where = {"id": provider.made["id"]}
    [(stored,)] = await rows(setup.app, "providers", "settings", **where)
    settings = json.loads(stored)
    settings["entra"]["directory"] = CONSUMERS
    # Values that the server once failed to reject.
    new = {"settings": json.dumps(settings), "issuer": CONSUMERS}
    assert await change_rows(setup.app, "providers", where, **new) == 1
    named = {"X-Client-ID": provider.client}
    for kind in ("graph", "api", "api-v1"):
        await setup.refused(setup.microsoft.mint(kind, "consumers", "pat"), headers=named)
    for kind in ("graph", "api", "api-v1"):
        await setup.refused(setup.microsoft.mint(kind, "consumers", "pat"))
