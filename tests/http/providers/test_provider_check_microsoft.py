"""The ``test`` route for the two Microsoft kinds says in a sentence what is wrong, and doesn't need a token."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.providers.provider_editors import WHO, editor
from tests.interop.microsoft import error_bodies
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup, Provider
from tests.interop.microsoft.people import ORGANIZATION, OUR_SECRET, OUR_URI, OURS
from tests.support.accounts import trail
from tests.support.envelope import check_success
from tests.support.matrix import matrix
from tests.support.oidc_socket import Answer
from tests.support.single_sign_on import BASE

pytestmark = pytest.mark.one_store

CONTOSO, MISSING = "c0c0c0c0-1111-4111-8111-111111111111", "dddddddd-4444-4444-8444-444444444444"
CALLBACK = f"{BASE}/api/client/auth/ms-dynamics/callback"
SECRET_SO_FAR = "Microsoft reports no problem with the application and its secret so far."


async def said(provider: Provider) -> dict[str, list[str]]:
    """The messages by level; none contains a secret."""
    reply = await provider.send("POST", "/test")
    data = check_success(reply)
    found: dict[str, list[str]] = {"ok": [], "note": [], "unknown": [], "bad": []}
    for finding in data["findings"]:
        assert finding["text"][-1] in ".?"
        found[finding["level"]].append(finding["text"])
    assert data["works"] is (False if found["bad"] else None if found["unknown"] else True)
    assert OUR_SECRET not in reply.text
    return found


async def bad(provider: Provider) -> str:
    """The only error message."""
    [text] = (await said(provider))["bad"]
    return text


async def test_a_good_dynamics_provider(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    events = len(await trail(setup.app, provider.client))
    found = await said(provider)
    assert found["bad"] == []
    base = setup.microsoft.base
    assert found["ok"] == [
        f"The cloud is custom, with login at {base} and Graph at {base}.",
        f"The directory is at {base.removeprefix('http://')}, and its issuer is correct for this cloud.",
        "The directory publishes 2 usable keys.",
        f"The environment {ORGANIZATION} exists and belongs to this directory.",
    ]
    assert found["unknown"][0].startswith(SECRET_SO_FAR)
    assert CALLBACK in found["note"][0]
    assert "user_impersonation" in found["note"][0]
    assert [asked.endpoint for asked in setup.microsoft.asked] == ["discovery", "keys", "token", "dataverse"]
    assert not [asked for asked in setup.microsoft.asked if "authorization" in asked.headers]
    assert len(await trail(setup.app, provider.client)) == events


@matrix("who", WHO)
async def test_it_is_the_same_at_every_route(setup: MicrosoftSetup, who: str) -> None:
    provider = await setup.dynamics(name="crm")
    caller = await editor(setup.app, who, provider.client)
    assert check_success(await caller.send("POST", "/crm/test")) == check_success(await provider.send("POST", "/test"))


@matrix("kind", ["dynamics", "entra"])
async def test_a_directory_that_is_not_there(setup: MicrosoftSetup, kind: str) -> None:
    made = setup.dynamics if kind == "dynamics" else setup.entra
    provider = await made("", {"directory": MISSING})
    texts = (await said(provider))["bad"]
    assert texts[0].startswith("There is no such directory: ")
    assert MISSING in texts[0]
    assert "another cloud" in texts[0]


OF_ANOTHER_CLOUD = {"issuer": "https://login.microsoftonline.us/x/v2.0"}


@matrix(
    ("asked", "answer", "sentence"),
    [
        ("discovery", Answer(503), "returns status 503"),
        ("discovery", Answer(404, {}, b"<h1>Not found</h1>"), "returns status 404"),
        ("discovery", Answer.json(OF_ANOTHER_CLOUD), "The directory's issuer is https://login."),
        ("discovery", Answer.json([]), "The directory's issuer is None"),
        ("discovery", Answer(302, {"Location": "https://evil.example/"}), "can't be reached: "),
        ("discovery", Answer(raw=b""), "can't be reached: "),
        ("keys", Answer(500), "keys can't be read: "),
        ("keys", Answer.json({"keys": []}), "None of the published keys"),
        ("keys", Answer(200, {}, b"x"), "keys can't be read: "),
    ],
)
async def test_a_login_service_that_does_not_answer_as_it_must(
    setup: MicrosoftSetup, asked: str, answer: Answer, sentence: str
) -> None:
    provider = await setup.entra()
    setup.microsoft.answers[asked] = answer
    assert sentence in await bad(provider)


async def test_keys_of_another_directory_are_none(setup: MicrosoftSetup) -> None:
    provider = await setup.entra()
    [_, _, key, _] = setup.microsoft.login.keys(setup.microsoft.named("contoso"))
    assert CONTOSO not in key["issuer"]
    setup.microsoft.answers["keys"] = Answer.json({"keys": [key]})
    assert await bad(provider) == "None of the published keys can sign tokens for this directory."


@matrix(
    ("settings", "sentence"),
    [
        (
            {"clientSecret": "wrong-secret-3141"},
            "rejects the client secret. It is incorrect or has expired (AADSTS7000215)",
        ),
        ({"clientSecret": None}, "requires a client secret, and none is set (AADSTS7000218)"),
        ({"clientId": MISSING}, f"doesn't know the application {MISSING} (AADSTS700016)"),
    ],
)
async def test_an_application_that_is_not_set_up(
    setup: MicrosoftSetup, settings: dict[str, Any], sentence: str
) -> None:
    provider = await setup.dynamics("", settings)
    text = await bad(provider)
    assert sentence in text
    assert "3141" not in text


async def test_what_cannot_be_found_out_is_said(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    setup.microsoft.answers["token"] = error_bodies.aadsts(70003, setup.app.clock.now_ms())
    assert "checked: Microsoft returns status 400 (AADSTS70003)." in (await said(provider))["unknown"][0]
    setup.microsoft.answers["token"] = Answer(200, {}, b"{}")
    assert "checked: Microsoft returns status 200." in (await said(provider))["unknown"][0]
    setup.microsoft.answers["token"] = Answer(raw=b"")
    assert "token endpoint can't be reached" in await bad(provider)
    setup.microsoft.answers.clear()
    setup.microsoft.login.registrations[OURS].secret = None
    try:
        await provider.change(dynamics={"clientSecret": None})
        assert "for mobile and desktop applications" in (await said(provider))["unknown"][0]
    finally:
        setup.microsoft.login.registrations[OURS].secret = OUR_SECRET


ENVIRONMENTS: dict[str, tuple[Answer, str, str]] = {
    "of another directory": (
        error_bodies.unauthorized_at_dataverse(MISSING, ORGANIZATION),
        "bad",
        f"directory: {MISSING}.",
    ),
    "that does not say which": (Answer(401, {"WWW-Authenticate": "Bearer"}), "ok", "exists and requests a token."),
    "without a challenge": (Answer(401), "ok", "exists and requests a token."),
    "that is not there": (Answer(404), "bad", f"There is no environment at {ORGANIZATION}."),
    "that is busy": (Answer(429, {"Retry-After": "7"}), "note", "returns status 429 instead of requesting a token."),
    "that lets anybody in": (Answer.json({"UserId": "x"}), "note", "returns status 200 instead of requesting"),
    "that sends on": (Answer(302, {"Location": "https://evil.example/"}), "bad", "can't be reached: "),
    "that does not answer": (Answer(raw=b""), "bad", "can't be reached: "),
}


@matrix("case", ENVIRONMENTS)
async def test_an_environment(setup: MicrosoftSetup, case: str) -> None:
    answer, level, sentence = ENVIRONMENTS[case]
    provider = await setup.dynamics()
    setup.microsoft.answers["dataverse"] = answer
    found = await said(provider)
    assert [text for text in found[level] if sentence in text]
    assert bool(found["bad"]) == (level == "bad")


async def test_a_good_entra_provider(setup: MicrosoftSetup) -> None:
    base = setup.microsoft.base
    provider = await setup.entra()
    found = await said(provider)
    assert (found["bad"], found["note"]) == ([], [])
    assert found["ok"][0] == f"The cloud is custom, with login at {base} and Graph at {base}."
    assert found["ok"][-1] == f"Microsoft Graph is at {base} and requests a token."
    assert [asked.endpoint for asked in setup.microsoft.asked] == ["discovery", "keys", "graph"]


async def test_what_tokens_for_our_own_application_need(setup: MicrosoftSetup) -> None:
    provider = await setup.entra_of_ours("", {"appIdUri": OUR_URI, "askGraph": True, "scopes": ["access_as_user"]})
    found = await said(provider)
    assert found["bad"] == []
    assert f"audience {OURS}, api://{OURS}, {OUR_URI}." in found["ok"][-1]
    assert [text for text in found["unknown"] if text.startswith(SECRET_SO_FAR)]
    await provider.change(entra={"clientSecret": "wrong-secret-3141"})
    assert "AADSTS7000215" in await bad(provider)
    await provider.change(entra={"clientSecret": None})
    assert "every token for this server's application is rejected" in await bad(provider)
    await provider.change(entra={"askGraph": False, "scopes": []})
    found = await said(provider)
    assert (found["bad"], len(found["note"])) == ([], 1)
    assert "entra.scopes is empty" in found["note"][0]
    await provider.change(entra={"clientSecret": OUR_SECRET})
    assert "isn't used while askGraph is off" in (await said(provider))["note"][0]
    await provider.change(entra={"askGraph": True, "clientId": "", "scopes": ["x"]})
    assert "askGraph has no effect without clientId" in (await said(provider))["note"][0]


async def test_graph_is_asked_only_where_it_will_be(setup: MicrosoftSetup) -> None:
    provider = await setup.entra_of_ours("", {"graphTokens": False})
    setup.microsoft.answers["graph"] = Answer(raw=b"")
    assert (await said(provider))["bad"] == []
    assert setup.microsoft.count("graph") == 0
    await provider.change(entra={"graphTokens": True})
    assert "Microsoft Graph can't be reached: " in await bad(provider)
    setup.microsoft.answers["graph"] = error_bodies.unavailable()
    assert "returns status 503" in (await said(provider))["note"][0]


async def test_what_no_kind_can_do_without(setup: MicrosoftSetup) -> None:
    provider = await setup.entra(groupRoles=[{"group": "g", "roles": ["Author"]}])
    assert "contain no groups" in (await said(provider))["note"][0]
    await provider.change(groupRoles=[], defaultRoles=[])
    texts = [f["text"] for f in (await provider.send("POST", "/test")).data["findings"] if f["level"] == "bad"]
    assert texts == ["It creates users but grants no roles. Grant roles by group, or to everyone"]
