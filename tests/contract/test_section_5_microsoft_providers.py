"""Contract, section 5, Microsoft: ``test`` tells whoever sets a provider up what is wrong; guests by Graph's word."""

from __future__ import annotations

from typing import Any

import pytest

from tests.interop.microsoft.people import ORGANIZATION, OTHER_APP
from tests.interop.microsoft.world import Provider, World
from tests.support.oidc_socket import Answer

pytest_plugins = ["tests.interop.microsoft.fixtures"]

NOBODY = "99999999-0000-4000-8000-000000000099"


async def told(provider: Provider) -> dict[str, list[str]]:
    """The sentences, by level."""
    found = (await provider.send("POST", "/test")).data
    assert found["works"] is all(one["level"] != "bad" for one in found["findings"])
    return {level: [f["text"] for f in found["findings"] if f["level"] == level] for level in ("ok", "note", "bad")}


async def test_a_good_dynamics_provider_has_nothing_bad(world: World) -> None:
    found = await told(await world.dynamics())
    assert found["bad"] == []
    assert len(found["note"]) == 1
    assert "PKCE" in found["note"][0]  # Entra heeds it and does not say so
    assert found["ok"][-1] == f"The environment {ORGANIZATION} is of this directory."


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"clientSecret": "wrong"}, "The client id or the client secret is wrong."),
        ({"clientSecret": None}, "The client id or the client secret is wrong."),
        ({"clientId": OTHER_APP}, "The provider does not let this client use the authorization code flow."),
        ({"directory": NOBODY}, "The provider's description cannot be fetched"),
    ],
)
async def test_a_wrong_setting_of_dynamics_is_told(world: World, settings: dict[str, Any], sentence: str) -> None:
    found = await told(await world.dynamics(dynamics=settings))
    assert found["bad"][0].startswith(sentence)


async def test_an_environment_of_another_directory_is_told(world: World) -> None:
    directory = world.microsoft.named("fabrikam").id
    found = await told(await world.dynamics(dynamics={"directory": directory}))
    home = world.microsoft.named("contoso").id
    assert f"The environment {ORGANIZATION} is of the directory {home}." in found["bad"]


async def test_an_environment_that_does_not_answer_as_one_is_told(world: World) -> None:
    provider = await world.dynamics()
    world.microsoft.answers["dataverse"] = Answer.json({}, 404)
    assert f"The environment {ORGANIZATION} answers with status 404." in (await told(provider))["note"]
    world.microsoft.answers["dataverse"] = Answer(raw=b"no HTTP\r\n\r\n")
    assert (await told(provider))["bad"][0].startswith(f"The environment {ORGANIZATION} cannot be reached: ")


async def test_a_good_provider_of_entra_tokens_has_nothing_bad(world: World) -> None:
    for provider in (await world.entra(), await world.entra_of_ours(entra={"askGraph": True, "scopes": ["a.b"]})):
        found = await told(provider)
        assert (found["bad"], found["note"]) == ([], [])
        assert any(text.startswith("Microsoft Graph answers at ") for text in found["ok"])


async def test_a_directory_that_does_not_exist_is_told(world: World) -> None:
    found = await told(await world.entra(entra={"directory": NOBODY}))
    assert found["bad"][0].startswith(f"There is no directory {NOBODY} at ")


@pytest.mark.parametrize("secret", ["wrong", None])
async def test_without_the_right_secret_graph_cannot_be_asked(world: World, secret: str | None) -> None:
    found = await told(await world.entra_of_ours(entra={"askGraph": True, "clientSecret": secret}))
    assert found["bad"] == ["The client id or the client secret is wrong."]
    assert (await told(await world.entra_of_ours(entra={"clientSecret": secret})))["bad"] == []  # not needed


async def test_what_an_admin_might_not_expect_is_noted(world: World) -> None:
    groups = [{"group": "authors", "roles": ["Author"]}]
    found = await told(await world.entra_of_ours(groupRoles=groups))
    assert [note.partition(":")[0] for note in found["note"]] == [
        "Tokens for Graph carry no groups",
        "Tokens for our application count with any of its scopes",
    ]
    found = await told(await world.entra_of_ours(entra={"graphTokens": False, "scopes": ["a.b"]}, groupRoles=groups))
    assert found["note"] == []
    assert not any("Graph" in text for text in found["ok"])


async def test_graph_that_is_down_is_told(world: World) -> None:
    provider = await world.entra()
    world.microsoft.answers["graph"] = Answer(raw=b"no HTTP\r\n\r\n")
    assert (await told(provider))["bad"][0].startswith("Microsoft Graph cannot be reached: ")
    world.microsoft.answers["graph"] = Answer.json({}, 503)
    assert (await told(provider))["note"][0].endswith("answers with status 503 to no token.")


async def test_a_guest_is_one_by_graphs_word_though_the_token_says_nothing(world: World) -> None:
    provider = await world.entra(domains=[])
    silent = world.microsoft.mint("graph", user="gina", claims={"idp": None, "acct": None})
    await world.refused(silent)
    await provider.change(entra={"guests": True})
    assert (await world.me(silent))["user"]["email"] == "gina@partner.example"
