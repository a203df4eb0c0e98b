"""Errors of Microsoft's login service in Dynamics sign-ins, and the messages that the person sees."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.interop.microsoft import error_bodies
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.support.envelope import check_refusal
from tests.support.matrix import matrix
from tests.support.oidc_socket import Answer
from tests.support.people import last_reason
from tests.support.single_sign_on import Browser, check_no_one_got_in, failures, flow_cookies, sign_ins, with_query

pytestmark = pytest.mark.one_store

UNAVAILABLE = "The identity provider can't be reached, try again later"
#: Errors that the browser returns with: error, the number in its description, and part of the message.
REDIRECTS = {
    "consent refused": ("access_denied", "AADSTS65004", "You canceled the sign-in"),
    "not assigned to the application": ("access_denied", "AADSTS50105", "You canceled the sign-in"),
    "an admin must consent": ("access_denied", "AADSTS90094", "You canceled the sign-in"),
    "consent is missing": ("consent_required", "AADSTS65001", "consent"),
    "a second factor is due": ("interaction_required", "AADSTS50076", "requires another step"),
    "not signed in there": ("login_required", "AADSTS50058", "requires you to sign in first"),
    "a fault at Microsoft": ("server_error", "AADSTS90033", "has a problem"),
    "Microsoft is busy": ("temporarily_unavailable", "AADSTS90006", "busy"),
    "no such environment in the directory": ("invalid_resource", "AADSTS500011", "rejected the sign-in"),
    "a scope that the application may not ask for": ("invalid_scope", "AADSTS70011", "ontact your administrator"),
    "the application is not in the directory": ("unauthorized_client", "AADSTS700016", "ontact your administrator"),
    "a request that is incomplete": ("invalid_request", "AADSTS900144", "ontact your administrator"),
}


@matrix("case", REDIRECTS)
async def test_what_microsoft_rejects_is_a_sentence_for_the_person_and_a_number_for_the_trail(
    setup: MicrosoftSetup, case: str
) -> None:
    error, number, part = REDIRECTS[case]
    provider = await setup.dynamics()
    setup.microsoft.refuses = error
    setup.microsoft.redirect = {"error_description": f"{number}: own words, Trace ID: 4f1a Timestamp: 2026"}
    browser, reply = await provider.sign_in()
    sentence = check_no_one_got_in(reply)
    assert part in sentence
    assert sentence.endswith(".")
    for text in ("own words", "AADSTS", "Trace"):
        assert text not in reply.text
    assert await last_reason(setup.app, provider.client) == f"redirect: {error} {number}"
    assert setup.microsoft.count("token") == 0
    setup.microsoft.refuses, setup.microsoft.redirect = None, {}
    assert (await provider.sign_in(browser=browser))[1].status == 302


@matrix("description", ["", "own words alone", "AADSTS", "AADSTS1", "xAADSTS12345678901", "AADSTS65004x", "<script>"])
async def test_nothing_else_of_the_description_is_kept(setup: MicrosoftSetup, description: str) -> None:
    provider = await setup.dynamics()
    setup.microsoft.refuses, setup.microsoft.redirect = "access_denied", {"error_description": description}
    check_no_one_got_in((await provider.sign_in())[1])
    assert await last_reason(setup.app, provider.client) == "redirect: access_denied"


#: Errors of the token endpoint: AADSTS number → part of the message.
REFUSALS = {
    54005: "expired or was already completed",
    70008: "expired or was already completed",
    9002313: "expired or was already completed",
    7000215: "ontact your administrator",
    7000218: "ontact your administrator",
    700016: "ontact your administrator",
    500112: "ontact your administrator",
    70003: "ontact your administrator",
    90002: "ontact your administrator",
}


@matrix("number", REFUSALS)
async def test_a_code_that_microsoft_does_not_redeem(setup: MicrosoftSetup, number: int) -> None:
    provider = await setup.dynamics()
    setup.microsoft.answers["token"] = error_bodies.aadsts(number, setup.app.clock.now_ms())
    before = sign_ins(setup.app, "dynamics", "failed")
    _, reply = await provider.sign_in()
    assert REFUSALS[number] in check_no_one_got_in(reply)
    assert "AADSTS" not in reply.text
    error, status, _ = error_bodies.AADSTS[number]
    [failed] = await failures(setup.app, provider.client)
    assert failed["why"] == f"token endpoint returned {status}: {error} AADSTS{number}"
    assert sign_ins(setup.app, "dynamics", "failed") == before + 1
    assert setup.microsoft.count("dataverse") == 0


async def test_a_wrong_or_missing_secret_is_the_administrators_business(setup: MicrosoftSetup) -> None:
    for secret in ("another-secret-3141", None):
        provider = await setup.dynamics(dynamics={"clientSecret": secret})
        _, reply = await provider.sign_in()
        assert "ontact your administrator" in check_no_one_got_in(reply)
        assert "invalid_client" in await last_reason(setup.app, provider.client)
        assert "3141" not in reply.text + str(await failures(setup.app, provider.client))


BROKEN: dict[str, Answer] = {
    "500": Answer(500, {}, b"<h1>Error</h1>"),
    "503": Answer(503),
    "429": Answer(429, {"Retry-After": "7"}),
    "a page": Answer(200, {"Content-Type": "text/html"}, b"<html>"),
    "nothing": Answer(raw=b""),
    "a redirect": Answer(302, {"Location": "https://evil.example/"}),
    "too much": Answer(200, {}, b"{", chunks=(b" " * 65536, 30, 0.0)),
}


@matrix("endpoint", ["discovery", "keys", "token"])
@matrix("case", BROKEN)
async def test_a_login_service_with_a_fault_is_unavailable(setup: MicrosoftSetup, endpoint: str, case: str) -> None:
    setup.app.clock.advance(2 * 86_400)  # nothing cached is that old
    provider = await setup.dynamics()
    browser = Browser(setup.app)
    if endpoint == "discovery":
        setup.microsoft.answers[endpoint] = BROKEN[case]
        reply = await browser.start("ms-dynamics", client=provider.client)
    else:
        back = setup.microsoft.visit(await provider.start(browser))
        setup.microsoft.answers[endpoint] = BROKEN[case]
        reply = await browser.send("GET", back)
        assert (await last_reason(setup.app, provider.client)).startswith("unreachable: ")
    assert check_no_one_got_in(reply, 502, "PROVIDER_UNAVAILABLE") == UNAVAILABLE
    assert "evil" not in reply.text
    assert setup.microsoft.count(endpoint) >= 1
    setup.microsoft.answers.clear()
    assert (await provider.sign_in())[1].status == 302


@matrix(
    "announced",
    [
        {"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"},
        {"issuer": "https://login.microsoftonline.us/c0c0c0c0-1111-4111-8111-111111111111/v2.0"},
        {"token_endpoint": "http://login.example/token"},
        {"jwks_uri": None},
    ],
)
async def test_a_directory_that_describes_itself_wrongly_gets_no_browser(
    setup: MicrosoftSetup, announced: dict[str, Any]
) -> None:
    setup.app.clock.advance(2 * 86_400)
    provider = await setup.dynamics()
    setup.microsoft.announced = announced
    check_no_one_got_in(await Browser(setup.app).start("ms-dynamics", client=provider.client))
    assert (await last_reason(setup.app, provider.client)).startswith("discovery: ")


async def test_a_directory_that_does_not_exist(setup: MicrosoftSetup) -> None:
    missing = "dddddddd-4444-4444-8444-444444444444"
    provider = await setup.dynamics(dynamics={"directory": missing})
    reply = await Browser(setup.app).start("ms-dynamics", client=provider.client)
    assert check_no_one_got_in(reply, 502, "PROVIDER_UNAVAILABLE") == UNAVAILABLE
    assert missing not in reply.text


async def test_an_error_for_another_browser_uses_nothing_up(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    browser = Browser(setup.app)
    back = setup.microsoft.visit(await provider.start(browser))
    denied = with_query(back, code=None, error="access_denied", error_description="AADSTS65004: no")
    check_no_one_got_in(await Browser(setup.app).send("GET", denied))
    assert [told["why"] for told in await failures(setup.app, provider.client)] == ["state: from a different browser"]
    assert (await browser.send("GET", back)).status == 302
    assert flow_cookies(browser) == {}


async def test_an_invalid_answer_of_microsofts(setup: MicrosoftSetup) -> None:
    callback = "/api/client/auth/ms-dynamics/callback"
    for query in ("", "?", "?code=x", "?state=x", f"?state={'A' * 32}&code=x", "?error=access_denied"):
        check_no_one_got_in(await setup.app.get(f"{callback}{query}"))
    for query in ("?state=x&state=y", "?code=%ff", "?state=%00", f"?code={'a' * 8001}"):
        check_refusal(await setup.app.get(f"{callback}{query}"), 400, "VALIDATION_ERROR")
    for method in ("POST", "PUT"):
        check_refusal(await setup.app.send(method, callback, {}), 405, "METHOD_NOT_ALLOWED")
    assert setup.microsoft.asked == []


async def test_a_long_description_does_not_break_anything(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    setup.microsoft.refuses = "access_denied"
    setup.microsoft.redirect = {"error_description": "AADSTS65004: " + json.dumps("é" * 1000)}
    check_no_one_got_in((await provider.sign_in())[1])
    assert await last_reason(setup.app, provider.client) == "redirect: access_denied AADSTS65004"
