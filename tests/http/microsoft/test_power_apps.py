"""Power Apps sends an Entra ID access token as a bearer token, by REST and GraphQL; covers accepted callers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.interop.microsoft.people import GRAPH, OTHER_APP, OUR_URI, OURS, POWER_APP
from tests.interop.microsoft.tokens import parts
from tests.support.accounts import trail
from tests.support.envelope import check_success
from tests.support.matrix import matrix
from tests.support.single_sign_on import sign_ins

pytestmark = pytest.mark.one_store


async def test_a_token_for_graph_lets_its_person_in(setup: MicrosoftSetup) -> None:
    provider = await setup.entra()
    me = await setup.me(setup.microsoft.mint("graph"))
    assert me["client"]["identifier"] == provider.client
    assert (me["user"]["email"], me["user"]["firstName"], me["user"]["lastName"]) == (
        "alice@contoso.example", "Alice", "Liddell",
    )  # fmt: skip
    assert me["roles"] == ["Operator"]
    assert "jobs:execute" in me["permissions"]
    assert setup.microsoft.count("graph") == 1
    [asked] = setup.microsoft.asked
    assert asked.path == "/v1.0/me"
    assert asked.headers["authorization"].startswith("Bearer ey")


async def test_how_one_is_signed_in(setup: MicrosoftSetup) -> None:
    """The caller has no session of ours, so no cookie, no refresh token, and no entry in the list of sessions."""
    await setup.entra()
    token = setup.microsoft.mint("graph")
    me = await setup.me(token)
    assert me["session"]["method"] == "entra"
    assert me["session"]["by"] == "token"
    assert me["session"]["id"].startswith("entra:")
    assert token.split(".")[1] not in me["session"]["id"]
    listed = await setup.app.get("/api/client/auth/sessions", token=token)
    assert check_success(listed)["items"] == []


@matrix(
    "audience",
    ["00000003-0000-0000-c000-000000000000", "https://graph.microsoft.com", "https://graph.microsoft.com/"],
)
async def test_graph_has_several_names(setup: MicrosoftSetup, audience: str) -> None:
    await setup.entra()
    await setup.me(setup.microsoft.mint("graph", claims={"aud": audience}))


async def test_a_v2_token_for_graph(setup: MicrosoftSetup) -> None:
    """Graph's tokens are currently v1.0, but the token itself states its version."""
    await setup.entra()
    directory = setup.microsoft.named("contoso").id
    claims = {"ver": "2.0", "iss": f"https://login.microsoftonline.com/{directory}/v2.0", "azp": POWER_APP,
              "appid": None}  # fmt: skip
    await setup.me(setup.microsoft.mint("graph", claims=claims))


@matrix(
    ("kind", "claims"),
    [
        ("api", {}),
        ("api-v1", {}),  # aud: api://ID
        ("api-v1", {"aud": OURS}),
        ("api-v1", {"aud": OUR_URI}),
        ("api-v1", {"appid": None, "azp": POWER_APP}),
        ("api-v1", {"azp": POWER_APP}),  # both claims, which agree
        ("api", {"azp": POWER_APP.upper()}),
        ("api", {"scp": "other access_as_user more"}),
        ("api", {"idtyp": "user"}),
        ("api", {"acct": 0, "idp": "https://sts.windows.net/c0c0c0c0-1111-4111-8111-111111111111/"}),
        ("api", {"xms_mirid": "/x", "wids": ["a"], "roles": ["Task.Write"], "unheard-of": {"of": [1, None]}}),
        ("api", {"nbf": None, "iat": None}),
        ("api", {"exp": 1_800_004_500.75, "iat": 1_799_999_999.5}),
    ],
)
async def test_a_token_for_our_own_application_is_verified_by_its_directorys_keys(
    setup: MicrosoftSetup, kind: str, claims: dict[str, Any]
) -> None:
    provider = await setup.entra_of_ours(entra={"appIdUri": OUR_URI, "scopes": ["access_as_user"]})
    me = await setup.me(setup.microsoft.mint(kind, claims=claims))
    assert me["client"]["identifier"] == provider.client
    assert me["user"]["email"] == "alice@contoso.example"
    assert setup.microsoft.count("graph") == 0
    assert setup.microsoft.count("token") == 0


@matrix("kind", ["api", "api-v1"])
async def test_a_key_that_signs_for_every_directory(setup: MicrosoftSetup, kind: str) -> None:
    """Most of Microsoft's keys do: their issuer is a template with ``{tenantid}``."""
    await setup.entra_of_ours()
    await setup.me(setup.microsoft.mint(kind, key_of="shared"))


async def test_both_kinds_of_token_at_one_provider_are_one_person(setup: MicrosoftSetup) -> None:
    await setup.entra_of_ours()
    tokens = [setup.microsoft.mint(kind) for kind in ("graph", "api", "api-v1")]
    assert len({(await setup.me(token))["user"]["id"] for token in tokens}) == 1


async def test_any_of_the_listed_apps(setup: MicrosoftSetup) -> None:
    await setup.entra(entra={"applications": [POWER_APP, OTHER_APP]})
    for app in (POWER_APP, OTHER_APP):
        await setup.me(setup.microsoft.mint("graph", app=app))


async def test_graph_is_asked_on_behalf_of_the_caller_where_the_client_wants_it(setup: MicrosoftSetup) -> None:
    await setup.entra_of_ours(entra={"askGraph": True})
    setup.microsoft.profile = {"givenName": "Alicia", "surname": "L.", "mail": "a.liddell@contoso.example"}
    token = setup.microsoft.mint("api")
    me = await setup.me(token)
    assert (me["user"]["firstName"], me["user"]["lastName"]) == ("Alicia", "L.")
    assert me["user"]["email"] == "a.liddell@contoso.example"
    assert (setup.microsoft.count("token"), setup.microsoft.count("graph")) == (1, 1)
    asked = {one.endpoint: one for one in setup.microsoft.asked}
    assert asked["token"].form["assertion"] == token
    shown = parts(asked["graph"].headers["authorization"].removeprefix("Bearer "))[1]
    assert (shown["aud"], shown["appid"]) == (GRAPH, OURS)


async def test_the_scheme_in_any_case_and_every_client_route(setup: MicrosoftSetup) -> None:
    await setup.entra()
    token = setup.microsoft.mint("graph")
    for scheme in ("bearer", "BEARER", "Bearer"):
        answer = await setup.app.get("/api/client/auth/me", headers={"Authorization": f"{scheme} {token}"})
        assert check_success(answer)["user"]["email"] == "alice@contoso.example"
    assert check_success(await setup.app.get("/api/client/auth/identities", token=token))["items"]


async def test_the_header_alone_is_judged(setup: MicrosoftSetup) -> None:
    """A cookie doesn't affect the result, whether the token is valid or not."""
    await setup.entra()
    cookie = (await setup.app.sign_in()).cookie("session")
    me = await setup.me(setup.microsoft.mint("graph"), cookie=cookie)
    assert me["user"]["email"] == "alice@contoso.example"
    await setup.refused(setup.microsoft.mint("graph", app=OTHER_APP), cookie=cookie)


async def test_it_is_recorded_once_for_each_judgment(setup: MicrosoftSetup) -> None:
    provider = await setup.entra()
    before = sign_ins(setup.app, "entra", "ok")
    token = setup.microsoft.mint("graph")
    me = await setup.me(token)
    [event] = [event for event in await trail(setup.app, provider.client) if event.event == "signed_in"]
    assert event.subject == f"user:{me['user']['id']}"
    assert event.members["method"] == "entra"
    assert event.members["provider"] == provider.made["id"]
    assert me["session"]["id"].startswith(event.members["session"])
    assert sign_ins(setup.app, "entra", "ok") == before + 1
