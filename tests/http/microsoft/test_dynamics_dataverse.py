"""Microsoft Dynamics sign-ins when Dataverse describes the user, rejects the token, or fails to respond."""

from __future__ import annotations

from typing import Any

import pytest

from tests.interop.microsoft import error_bodies
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.interop.microsoft.people import ORGANIZATION
from tests.support.application import Reply
from tests.support.matrix import matrix
from tests.support.oidc_socket import Answer
from tests.support.people import last_reason, users_of
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, check_no_one_got_in, given_up, impatient, sign_ins

pytestmark = pytest.mark.one_store

NO_MEMBER = "You aren't a user of the organization in Dynamics"
SET_UP = "Single sign-on isn't set up correctly. Contact your administrator."
UNAVAILABLE = "The identity provider can't be reached, try again later"
GOOD = {"UserId": "5a5a5a5a-0000-4000-8000-000000000001", "OrganizationId": "883278f5-07af-45eb-a0bc-3fea67caa544"}


async def test_someone_of_the_directory_who_is_no_user_of_the_environment_cannot_sign_in(
    setup: MicrosoftSetup,
) -> None:
    provider = await setup.dynamics()
    before = sign_ins(setup.app, "dynamics", "failed")
    browser, reply = await provider.sign_in("carol")
    assert check_no_one_got_in(reply) == NO_MEMBER
    assert await last_reason(setup.app, provider.client) == "dataverse returned 403: 0x80072560"
    assert sign_ins(setup.app, "dynamics", "failed") == before + 1
    assert await users_of(setup.app, provider.client) == {}
    assert (await browser.me()).status == 401


async def test_someone_who_was_taken_out_of_the_environment_cannot_sign_in_again(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    assert (await provider.sign_in("alice"))[1].status == 302
    setup.microsoft.answers["dataverse"] = error_bodies.dataverse("0x80040225", "The specified user is disabled.")
    assert check_no_one_got_in((await provider.sign_in("alice"))[1]) == NO_MEMBER


#: Dataverse's responses, with the message and the reason in the trail. If it rejects the token, or isn't at the
#: address, the provider is misconfigured, and nobody counts as a member.
REFUSALS: dict[str, tuple[Answer, str, str]] = {
    "401": (error_bodies.unauthorized_at_dataverse("x", ORGANIZATION), SET_UP, "dataverse returned 401: no code"),
    "403 as text": (Answer(403, {}, b"<h1>Forbidden</h1>"), NO_MEMBER, "dataverse returned 403: no code"),
    "404": (
        error_bodies.dataverse("0x80060888", "Resource not found for the segment 'WhoAmI'.", 404),
        SET_UP,
        "dataverse returned 404: 0x80060888",
    ),
    "400": (
        error_bodies.dataverse("0x80048d19", "Error identified in Payload.", 400),
        SET_UP,
        "returned 400: 0x80048d19",
    ),
    "a user without an id": (Answer.json({"OrganizationId": GOOD["OrganizationId"]}), SET_UP, "returned no user"),
    "an id that is none": (Answer.json({**GOOD, "UserId": "alice"}), SET_UP, "returned no user"),
    "an id that is a number": (Answer.json({**GOOD, "UserId": 7}), SET_UP, "returned no user"),
    "no organisation": (Answer.json({"UserId": GOOD["UserId"]}), SET_UP, "returned no user"),
    "an error in a good answer": (Answer.json({"error": {"code": "0x1", "message": "x"}}), SET_UP, "returned no user"),
}


@matrix("case", REFUSALS)
async def test_what_dataverse_rejects(setup: MicrosoftSetup, case: str) -> None:
    answer, sentence, why = REFUSALS[case]
    provider = await setup.dynamics()
    setup.microsoft.answers["dataverse"] = answer
    _, reply = await provider.sign_in()
    assert check_no_one_got_in(reply) == sentence
    assert why in await last_reason(setup.app, provider.client)
    assert await users_of(setup.app, provider.client) == {}
    assert setup.microsoft.count("dataverse") == 1


#: Responses that aren't rejections, because Dataverse can't tell. The last column is the retry time that we return.
FAULTS: dict[str, tuple[Answer, str | None]] = {
    "429": (
        error_bodies.dataverse("0x80072322", "Number of requests exceeded the limit", 429, **{"Retry-After": "7"}),
        "7",
    ),
    "429 for an hour": (Answer(429, {"Retry-After": "3600"}), "300"),
    "429 without a time": (Answer(429), "1"),
    "429 with a date": (Answer(429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), "1"),
    "503": (error_bodies.dataverse("0x80040216", "An unexpected error occurred.", 503, **{"Retry-After": "30"}), "30"),
    "500": (error_bodies.dataverse("0x80040216", "An unexpected error occurred.", 500), None),
    "502": (Answer(502, {}, b"<h1>Bad Gateway</h1>"), None),
    "a page": (Answer(200, {"Content-Type": "text/html"}, b"<html>Sign in</html>"), None),
    "a list": (Answer.json([GOOD]), None),
    "a member twice": (Answer(200, {}, b'{"UserId": "a", "UserId": "b"}'), None),
    "nothing": (Answer(raw=b""), None),
    "no end": (Answer(200, {}, b"[", chunks=(b" " * 65536, 30, 0.0)), None),
    "a redirect": (Answer(302, {"Location": "https://evil.example/"}), None),
}


@matrix("case", FAULTS)
async def test_an_environment_that_cannot_say_is_unavailable(setup: MicrosoftSetup, case: str) -> None:
    answer, wait = FAULTS[case]
    provider = await setup.dynamics()
    setup.microsoft.answers["dataverse"] = answer
    _, reply = await provider.sign_in()
    assert check_no_one_got_in(reply, 502, "PROVIDER_UNAVAILABLE") == UNAVAILABLE
    assert reply.headers.get("retry-after") == wait
    assert (await last_reason(setup.app, provider.client)).startswith("unreachable: ")
    assert "evil" not in reply.text
    assert await users_of(setup.app, provider.client) == {}
    setup.microsoft.answers.clear()
    assert (await provider.sign_in())[1].status == 302


@rule("MICROSOFT-DOWN")
async def test_a_slow_environment_is_given_up_and_delays_no_one(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()

    async def ask() -> Reply:
        browser = Browser(setup.app)
        return await browser.send("GET", setup.microsoft.visit(await provider.start(browser)))

    with setup.microsoft.gates.shut("dataverse"):
        reply = await given_up(setup.app, ask, lambda: setup.microsoft.count("dataverse") > 0)
    check_no_one_got_in(reply, 502, "PROVIDER_UNAVAILABLE")
    assert setup.microsoft.count("dataverse") == 2  # in two requests
    assert await users_of(setup.app, provider.client) == {}


async def test_slowness_at_each_step_adds_up_to_no_more(setup: MicrosoftSetup) -> None:
    setup.app.clock.advance(2 * 86_400)
    provider, browser = await setup.dynamics(), Browser(setup.app)
    back = setup.microsoft.visit(await provider.start(browser))
    setup.microsoft.delay = dict.fromkeys(("keys", "token", "dataverse", "discovery"), 0.3)
    with impatient(setup.app):
        reply = await browser.send("GET", back)
    check_no_one_got_in(reply, 502, "PROVIDER_UNAVAILABLE")
    assert await users_of(setup.app, provider.client) == {}


async def test_the_environment_is_asked_with_the_token_that_came_with_the_code(setup: MicrosoftSetup) -> None:
    provider = await setup.dynamics()
    setup.microsoft.token["access_token"] = setup.microsoft.mint("graph")
    assert check_no_one_got_in((await provider.sign_in())[1]) == SET_UP
    assert await last_reason(setup.app, provider.client) == "dataverse returned 401: no code"


@matrix("token", [None, "", 7, "with space", "é", "a\r\nX: y", "a" * 20_000])
async def test_an_invalid_access_token_is_shown_to_no_one(setup: MicrosoftSetup, token: Any) -> None:
    provider = await setup.dynamics()
    setup.microsoft.token["access_token"] = token
    check_no_one_got_in((await provider.sign_in())[1])
    assert setup.microsoft.count("dataverse") == 0
