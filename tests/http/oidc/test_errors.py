"""OpenID Connect with a provider that rejects, fails, is slow, or is down, and the messages that the person sees."""

from __future__ import annotations

import asyncio
import select
import socket
from typing import Any

import pytest

from tests.support.accounts import new_client
from tests.support.application import App, Reply
from tests.support.matrix import matrix
from tests.support.oidc_op import Op, provider
from tests.support.oidc_socket import Answer
from tests.support.rules import rule
from tests.support.single_sign_on import (
    Browser,
    add_oidc,
    begun,
    check_no_one_got_in,
    failures,
    given_up,
    impatient,
    sign_ins,
    with_query,
)

USUAL = "Sign-in through the identity provider failed"
UNAVAILABLE = "The identity provider can't be reached, try again later"
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


@pytest.fixture
async def client(app: App, op: Op) -> str:
    identifier = await new_client(app)
    await add_oidc(app, op, identifier)
    return identifier


@matrix(
    ("error", "text"),
    [
        ("access_denied", "You canceled the sign-in"),
        ("login_required", "requires you to sign in first"),
        ("interaction_required", "requires another step"),
        ("consent_required", "consent"),
        ("account_selection_required", "Choose an account"),
        ("temporarily_unavailable", "busy"),
        ("server_error", "has a problem"),
        ("invalid_scope", "ontact your administrator"),
        ("unauthorized_client", "ontact your administrator"),
        ("invalid_request", "ontact your administrator"),
        ("unsupported_response_type", "ontact your administrator"),
        ("some_extension_error", "rejected the sign-in"),
    ],
)
async def test_an_error_of_the_provider_is_a_sentence_that_a_person_understands(
    app: App, op: Op, client: str, error: str, text: str
) -> None:
    op.error = error
    browser, address = await begun(app, op, client)
    reply = await browser.send("GET", address)
    sentence = check_no_one_got_in(reply)
    assert text in sentence
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert "_" not in sentence
    assert "own words" not in reply.text
    assert (await failures(app, client))[-1]["why"] == f"redirect: {error}"
    assert op.count("token") == 0


@rule("PROVIDER-WORDS")
async def test_the_providers_own_text_is_shown_to_no_one(app: App, op: Op, client: str) -> None:
    """Anybody can write these texts, since the link can come from a page that imitates ours."""
    for error in ("<script>alert(1)</script>", "Call 555-0100 now", "a\r\nSet-Cookie: session=x", "x" * 500):
        browser, address = await begun(app, op, client)
        shown = with_query(address, code=None, error=error, error_description=error, error_uri="https://evil.example")
        reply = await browser.send("GET", shown)
        check_no_one_got_in(reply)
        for text in ("script", "555", "Cookie", "xxx", "evil"):
            assert text not in reply.text
            assert text not in str(reply.headers)


async def test_an_error_beside_a_code_is_an_error(app: App, op: Op, client: str) -> None:
    browser, address = await begun(app, op, client)
    check_no_one_got_in(await browser.send("GET", f"{address}&error=access_denied"))
    assert op.count("token") == 0


async def test_an_error_for_another_browser_or_without_state_uses_nothing_up(app: App, op: Op, client: str) -> None:
    browser, address = await begun(app, op, client)
    denied = with_query(address, code=None, error="access_denied")
    assert "in a different browser" in check_no_one_got_in(await Browser(app).send("GET", denied))
    assert "Start again" in check_no_one_got_in(await browser.send("GET", with_query(denied, state=None)))
    assert (await browser.send("GET", address)).status == 302
    assert [failed["why"] for failed in await failures(app, client)] == ["state: from a different browser"]


async def test_an_answer_without_code_or_error_is_none(app: App, op: Op, client: str) -> None:
    for code in (None, ""):
        browser, address = await begun(app, op, client)
        check_no_one_got_in(await browser.send("GET", with_query(address, code=code)))
    assert op.count("token") == 0


@matrix("error", ["invalid_grant", "invalid_client", "access_denied", "unauthorized_client", "odd one"])
async def test_a_code_that_the_provider_does_not_redeem_opens_nothing(
    app: App, op: Op, client: str, error: str
) -> None:
    browser, address = await begun(app, op, client)
    op.token_error = error
    reply = await browser.send("GET", address)
    check_no_one_got_in(reply)
    assert "own words" not in reply.text
    assert error not in reply.text
    assert (await failures(app, client))[-1]["why"] == f"token endpoint returned 400: {error}"


async def test_a_wrong_client_secret_is_the_administrators_business(app: App, op: Op) -> None:
    client = await new_client(app)
    await add_oidc(app, op, client, {"clientSecret": "wrong-secret-3141"})
    browser, address = await begun(app, op, client)
    reply = await browser.send("GET", address)
    assert "ontact your administrator" in check_no_one_got_in(reply)
    [failed] = await failures(app, client)
    assert failed["why"] == "token endpoint returned 401: invalid_client"
    assert "3141" not in reply.text + str(failed)


FAULTS = {
    "500": Answer(500, {"Content-Type": "application/json"}, b'{"error": "server_error"}'),
    "503": Answer(503, {}, b"<h1>Maintenance</h1>"),
    "redirect": Answer(302, {"Location": "https://evil.example/"}),
    "nothing": Answer(raw=b""),
    "no HTTP": Answer(raw=b"SSH-2.0-x\r\n"),
    "no end": Answer(200, {"Content-Type": "application/json"}, b"", chunks=(b"[" * 4096, 400, 0.0)),
    "429": Answer(429, {"Retry-After": "7"}),
    "a page": Answer(200, {"Content-Type": "text/html"}, b"<h1>Sign in</h1>"),
    "a list": Answer(200, {}, b"[]"),
    "a member twice": Answer(200, {}, b'{"a": 1, "a": 2}'),
}
#: Any other userinfo response rejects the sign-in: the code was redeemed, and there are only the token's claims.
OF_ALL = ("500", "503", "redirect", "nothing", "no HTTP", "no end")


def _long(*given: str) -> list[Any]:
    """Parameters of tests that wait for a timeout; outside the long run, only the token endpoint is tested."""
    return [pytest.param(one, marks=pytest.mark.endurance) for one in given]


@matrix("endpoint", ["token", *_long("discovery", "keys", "userinfo")])
async def test_a_provider_that_ends_half_way_is_unavailable(app: App, op: Op, client: str, endpoint: str) -> None:
    await _is_unavailable(app, op, client, endpoint, Answer(200, {}, b"{", length=1000))


@matrix(
    ("endpoint", "fault"),
    [(name, fault) for name in ("discovery", "token", "keys") for fault in FAULTS]
    + [("userinfo", fault) for fault in OF_ALL],
)
async def test_a_provider_with_a_fault_is_unavailable(app: App, op: Op, client: str, endpoint: str, fault: str) -> None:
    await _is_unavailable(app, op, client, endpoint, FAULTS[fault])


async def _is_unavailable(app: App, op: Op, client: str, endpoint: str, answer: Answer) -> None:
    op.answers[endpoint] = answer
    op.only_in_userinfo = {"email"}
    before = sign_ins(app, "oidc", "failed")
    if endpoint == "discovery":
        reply = await Browser(app).start("oidc", client=client)
    else:
        browser, address = await begun(app, op, client)
        reply = await browser.send("GET", address)
        [failed] = await failures(app, client)
        assert failed["why"].startswith("unreachable: ")
        assert sign_ins(app, "oidc", "failed") == before + 1
    assert check_no_one_got_in(reply, 502, "PROVIDER_UNAVAILABLE") == UNAVAILABLE
    assert "evil" not in reply.text
    assert op.count(endpoint) >= 1


async def test_a_provider_that_is_gone_is_unavailable_at_the_start_and_at_the_end(app: App, op: Op) -> None:
    client = await new_client(app)
    with provider(app.clock) as gone:
        made = await add_oidc(app, gone, client)
    reply = await Browser(app).start("oidc", client=client, provider=made["name"])
    check_no_one_got_in(reply, 502, "PROVIDER_UNAVAILABLE")
    half = await add_oidc(app, op, client)
    op.announced["token_endpoint"] = f"{gone.base}/token"
    browser, address = await begun(app, op, client, provider=half["name"])
    check_no_one_got_in(await browser.send("GET", address), 502, "PROVIDER_UNAVAILABLE")


async def test_a_provider_that_is_back_is_no_longer_unavailable(app: App, op: Op, client: str) -> None:
    op.answers["discovery"] = Answer(503)
    check_no_one_got_in(await Browser(app).start("oidc", client=client), 502, "PROVIDER_UNAVAILABLE")
    op.answers.clear()
    browser, address = await begun(app, op, client)
    assert (await browser.send("GET", address)).status == 302


@matrix("endpoint", ["token", *_long("discovery", "keys", "userinfo")])
async def test_a_slow_provider_is_given_up_and_delays_no_one_else(app: App, op: Op, client: str, endpoint: str) -> None:
    op.only_in_userinfo = {"email"}

    async def ask() -> Reply:
        if endpoint == "discovery":
            return await Browser(app).start("oidc", client=client)
        browser, address = begun_before.pop()
        return await browser.send("GET", address)

    begun_before = [] if endpoint == "discovery" else [await begun(app, op, client) for _ in range(2)]
    with op.gates.shut(endpoint):
        reply = await given_up(app, ask, lambda: op.count(endpoint) > 0)
    check_no_one_got_in(reply, 502, "PROVIDER_UNAVAILABLE")
    assert op.count(endpoint) == (
        1 if endpoint in ("discovery", "keys") else 2
    )  # both wait for one response, or send one request


async def test_slowness_at_each_step_adds_up_to_no_more(app: App, op: Op, client: str) -> None:
    browser, address = await begun(app, op, client)
    op.delay = dict.fromkeys(("discovery", "token", "keys", "userinfo"), 0.3)
    op.only_in_userinfo = {"email"}
    with impatient(app):
        reply = await browser.send("GET", address)
    check_no_one_got_in(reply, 502, "PROVIDER_UNAVAILABLE")


async def test_an_answer_that_drips_does_not_hold_us_longer(app: App, op: Op, client: str) -> None:
    op.answers["token"] = Answer(200, {"Content-Type": "application/json"}, b"{", chunks=(b" ", 1000, 0.05))
    ways = [await begun(app, op, client) for _ in range(2)]

    async def ask() -> Reply:
        browser, address = ways.pop()
        return await browser.send("GET", address)

    reply = await given_up(app, ask, lambda: op.count("token") > 0)
    check_no_one_got_in(reply, 502, "PROVIDER_UNAVAILABLE")


async def test_a_host_that_answers_nothing_at_all_is_given_up_as_soon(app: App) -> None:
    client = await new_client(app)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(1)
        with provider(app.clock, issuer=f"http://127.0.0.1:{deaf.getsockname()[1]}") as op:
            await add_oidc(app, op, client)

        def is_asked() -> bool:
            return bool(select.select([deaf], [], [], 0)[0])

        reply = await given_up(app, lambda: Browser(app).start("oidc", client=client), is_asked)
        check_no_one_got_in(reply, 502, "PROVIDER_UNAVAILABLE")


async def test_another_clients_provider_is_not_slower_for_it(app: App, op: Op, client: str) -> None:
    waiting = [await begun(app, op, client) for _ in range(10)]
    with provider(app.clock) as quick:
        other = await new_client(app)
        await add_oidc(app, quick, other)
        with op.gates.shut("token"):
            asking = [asyncio.create_task(browser.send("GET", address)) for browser, address in waiting]
            while op.count("token") < 6:  # a provider gets six requests at a time; the others fail soon
                await asyncio.sleep(0.01)
            browser, address = await begun(app, quick, other)
            assert (await browser.send("GET", address)).status == 302
            while sum(task.done() for task in asking) < 4:
                await asyncio.sleep(0.01)
            ended = [task.result() for task in asking if task.done()]
            assert (len(ended), op.count("token")) == (4, 6)
            for reply in ended:
                check_no_one_got_in(reply, 502, "PROVIDER_UNAVAILABLE")
        assert sorted(reply.status for reply in await asyncio.gather(*asking)) == [302] * 6 + [502] * 4
