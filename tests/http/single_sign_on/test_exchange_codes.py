"""An app gets a one-time exchange code at its return address, and exchanges it once, within a minute."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from tests.support.accounts import Keys, act_on, keys_of, new_client, opened_by, trail
from tests.support.application import App, Reply
from tests.support.envelope import check_refusal, check_success
from tests.support.forged_tokens import claims_of
from tests.support.matrix import matrix
from tests.support.oidc_op import Op, b64
from tests.support.single_sign_on import (
    RETURN_TO,
    Browser,
    act_on_provider,
    add_oidc,
    begun,
    check_no_one_got_in,
    failures,
    query_of,
    sign_ins,
)

EXCHANGE = "/api/client/auth/exchange"
APP = "com.acme.app:/signed-in"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # from RFC 7636, appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
OVER = "The code is no longer valid"
pytestmark = pytest.mark.usefixtures("another_day")


@pytest.fixture
async def client(app: App, op: Op) -> str:
    identifier = await new_client(app)
    await add_oidc(app, op, identifier, name="idp", returnAddresses=[RETURN_TO, APP])
    return identifier


async def code_of(app: App, op: Op, client: str, browser: Browser | None = None, **query: str) -> str:
    """A one-time code, as received by the app."""
    browser, address = await begun(app, op, client, browser, response="code", **query)
    ended = await browser.send("GET", address)
    assert ended.status == 302, ended.text
    return query_of(ended)["code"]


async def exchange(app: App, code: str, verifier: str | None = None, **options: Any) -> Reply:
    body = {"code": code} | ({} if verifier is None else {"codeVerifier": verifier})
    return await app.post(EXCHANGE, body, **options)


def of_code(reply: Reply, code: str = "SSO_FAILED", status: int = 401) -> str:
    return check_no_one_got_in(reply, status, code)


async def test_the_exchange_answers_like_sign_in(app: App, op: Op, client: str) -> None:
    reply = await exchange(app, await code_of(app, op, client))
    usual = await app.sign_in("viewer@acme.example", client="acme")
    data = check_success(reply)
    assert set(data) == set(usual.data)
    assert set(data["user"]) == set(usual.data["user"])
    assert (data["user"]["email"], data["user"]["clientId"]) == ("ada@acme.example", client)
    assert data["expiresIn"] == usual.data["expiresIn"]
    assert set(claims_of(data["token"])) == set(claims_of(usual.data["token"]))
    lines = [[line.partition(";")[2] for line in r.headers.get_list("set-cookie")] for r in (reply, usual)]
    assert lines[0] == lines[1]
    assert await opened_by(app, Keys.of(reply)) == ["token", "cookie", "refresh token"]


async def test_a_code_is_long_and_random_and_no_session_begins_before_it_is_exchanged(
    app: App, op: Op, client: str
) -> None:
    codes = {await code_of(app, op, client) for _ in range(3)}
    assert len(codes) == 3
    assert all(len(code) >= 32 for code in codes)
    assert "signed_in" not in [event.event for event in await trail(app, client)]
    before = sign_ins(app, "code", "ok")
    await exchange(app, codes.pop())
    [event] = [event for event in await trail(app, client) if event.event == "signed_in"]
    assert event.members["method"] == "oidc"
    assert sign_ins(app, "code", "ok") == before + 1


async def test_a_browser_gets_no_cookie_and_keeps_the_session_that_it_has(app: App, op: Op, client: str) -> None:
    mine = await keys_of(app)
    browser = Browser(app, {"session": mine.cookie})
    code = await code_of(app, op, client, browser)
    assert browser.cookies == {"session": mine.cookie}
    assert await opened_by(app, mine) == ["token", "cookie", "refresh token"]
    check_success(await exchange(app, code))


async def test_a_session_cookie_that_comes_with_the_exchange_is_ended_and_never_adopted(
    app: App, op: Op, client: str
) -> None:
    before = await keys_of(app)
    reply = await exchange(app, await code_of(app, op, client), cookie=before.cookie)
    assert reply.cookie("session") != before.cookie
    assert await opened_by(app, before) == []


async def test_a_code_lives_sixty_seconds(app: App, op: Op, client: str) -> None:
    in_time, late = await code_of(app, op, client), await code_of(app, op, client)
    app.clock.advance(59.999)
    check_success(await exchange(app, in_time))
    app.clock.advance(0.001)
    assert of_code(await exchange(app, late)) == OVER


async def test_a_code_that_is_shown_again_ends_the_session_that_it_began(app: App, op: Op, client: str) -> None:
    code = await code_of(app, op, client)
    first = Keys.of(await exchange(app, code))
    other = Keys.of(await exchange(app, await code_of(app, op, client)))
    assert of_code(await exchange(app, code)) == OVER
    assert await opened_by(app, first) == []
    assert await opened_by(app, other) == ["token", "cookie", "refresh token"]
    assert "sign_in_code_reused" in [event.event for event in await trail(app, client)]
    assert of_code(await exchange(app, code)) == OVER


async def test_twenty_who_show_one_code_at_the_same_time_get_one_session_at_most(app: App, op: Op, client: str) -> None:
    code = await code_of(app, op, client)
    replies = await asyncio.gather(*(exchange(app, code) for _ in range(20)))
    assert [reply.status for reply in replies].count(200) == 1
    [won] = [reply for reply in replies if reply.status == 200]
    assert await opened_by(app, Keys.of(won)) == []  # the others presented it a second time
    events = [event.event for event in await trail(app, client)]
    assert events.count("signed_in") == 1


@matrix("code", ["x", "A" * 43, "é", "' OR 1=1 --", " ", "\u2028"])
async def test_an_invalid_code_is_rejected(app: App, code: str) -> None:
    assert of_code(await exchange(app, code)) == OVER


async def test_nearly_the_code_is_not_the_code(app: App, op: Op, client: str) -> None:
    code = await code_of(app, op, client)
    for other in (code[:-1], code + "A", code + "=", code.swapcase(), f" {code}", f"{code}\n"):
        assert of_code(await exchange(app, other)) == OVER
    check_success(await exchange(app, code))


@matrix(
    "body",
    [
        *({}, {"code": ""}, {"code": None}, {"code": 7}, {"code": ["x"]}, {"code": "a" * 101}, {"code": "a\0"}),
        *(
            {"code": "x", "codeVerifier": 7},
            {"code": "x", "codeVerifier": None},
            {"code": "x", "codeVerifier": "a" * 129},
        ),
        *([], "x", {"code": "\ud800"}),
    ],
)
async def test_an_invalid_exchange_is_a_mistake(app: App, body: Any) -> None:
    check_refusal(await app.post(EXCHANGE, body), 400, "VALIDATION_ERROR")


async def test_the_code_is_read_from_the_body_alone(app: App, op: Op, client: str) -> None:
    code = await code_of(app, op, client)
    check_refusal(await app.post(f"{EXCHANGE}?code={code}", {}), 400, "VALIDATION_ERROR")
    check_refusal(await app.get(f"{EXCHANGE}?code={code}"), 405, "METHOD_NOT_ALLOWED")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = await app.send("POST", EXCHANGE, content=f"code={code}".encode(), headers=form)
    check_refusal(reply, 415, "UNSUPPORTED_MEDIA_TYPE")
    check_success(await exchange(app, code))


async def test_the_verifier_of_the_app_opens_its_code(app: App, op: Op, client: str) -> None:
    assert b64(hashlib.sha256(VERIFIER.encode()).digest()) == CHALLENGE
    code = await code_of(app, op, client, codeChallenge=CHALLENGE, returnTo=APP)
    check_success(await exchange(app, code, VERIFIER))


@matrix("verifier", [None, "", "wrong", VERIFIER[:-1], VERIFIER + "A", CHALLENGE, "é"])
async def test_without_the_verifier_a_code_is_worth_nothing_and_used_up(
    app: App, op: Op, client: str, verifier: str | None
) -> None:
    """Another app registered for the same scheme intercepted it (RFC 8252, section 8.1)."""
    code = await code_of(app, op, client, codeChallenge=CHALLENGE, returnTo=APP)
    assert of_code(await exchange(app, code, verifier)) == OVER
    [failed] = await failures(app, client)
    assert (failed["method"], failed["why"]) == ("oidc", "one-time code: the verifier doesn't match its challenge")
    assert of_code(await exchange(app, code, VERIFIER)) == OVER
    assert "signed_in" not in [event.event for event in await trail(app, client)]


async def test_a_verifier_for_a_code_that_was_asked_for_without_a_challenge_is_rejected(
    app: App, op: Op, client: str
) -> None:
    """PKCE downgrade (RFC 9700, section 2.1.1): an attacker started that sign-in, and sends its code to the victim's
    app."""
    code = await code_of(app, op, client)
    assert of_code(await exchange(app, code, VERIFIER)) == OVER
    assert of_code(await exchange(app, code)) == OVER


async def test_the_providers_code_and_tokens_are_no_code_of_ours(app: App, op: Op, client: str) -> None:
    browser, address = await begun(app, op, client, response="code")
    of_provider = address.partition("code=")[2].partition("&")[0]
    of_code(await exchange(app, of_provider))
    ended = await browser.send("GET", address)
    for text in (*op.access_tokens, query_of(ended)["code"] + ".", keys_text(await app.sign_in())):
        of_code(await exchange(app, text[:100]))
    check_refusal(await app.me(query_of(ended)["code"]), 401, "INVALID_TOKEN")
    check_refusal(await app.refresh(query_of(ended)["code"]), 401, "INVALID_TOKEN")


def keys_text(reply: Reply) -> str:
    return str(reply.data["refreshToken"])


async def test_a_code_of_one_client_opens_that_client_and_no_other(app: App, op: Op, client: str) -> None:
    reply = await app.get(f"/api/admin/clients/{client}", token=await app.admin_token())
    for name in ("acme", str(app.ids.get("acme", 1)), "missing", "", client.upper()):
        code = await code_of(app, op, client)
        refused = await exchange(app, code, headers={"X-Client-ID": name})
        assert of_code(refused, "FORBIDDEN", 403) == "Insufficient permissions"
    for name in (client, str(reply.data["id"])):
        code = await code_of(app, op, client)
        made = await exchange(app, code, headers={"X-Client-ID": name})
        assert check_success(made)["user"]["clientId"] == client


@matrix("what", ["the user", "the client"])
async def test_what_was_shut_since_the_code_was_given_stays_shut(app: App, op: Op, client: str, what: str) -> None:
    data = check_success(await exchange(app, await code_of(app, op, client)))
    code = await code_of(app, op, client)
    path = f"{client}/users/{data['user']['id']}" if what == "the user" else client
    await act_on(app, f"{path}/{'deactivate' if what == 'the user' else 'suspend'}")
    of_code(await exchange(app, code), "ACCOUNT_DISABLED", 403)
    assert (await trail(app, client))[-1].event == "sign_in_refused"
    await act_on(app, f"{path}/restore")
    assert of_code(await exchange(app, code)) == OVER  # it was already used


@matrix("act", ["switch-off", "delete"])
async def test_so_does_a_provider(app: App, op: Op, client: str, act: str) -> None:
    code = await code_of(app, op, client)
    await act_on_provider(app, client, "idp", act)
    of_code(await exchange(app, code))
    assert "signed_in" not in [event.event for event in await trail(app, client)]


async def test_roles_are_those_of_the_moment(app: App, op: Op, client: str) -> None:
    data = check_success(await exchange(app, await code_of(app, op, client)))
    code = await code_of(app, op, client)
    path = f"/api/admin/clients/{client}/users/{data['user']['id']}/roles"
    assert (await app.send("PUT", path, {"roles": ["Author"]}, token=await app.admin_token())).status == 200
    assert check_success(await exchange(app, code))["user"]["roles"] == ["Author"]
