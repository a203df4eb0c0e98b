"""An app sends a person to ``/sign-in`` and receives a one-time code at its own address; no session opens here."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.support.accounts import settle
from tests.support.application import PASSWORD, App
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

VERIFIER = "a-verifier-of-the-app-of-43-characters-or-more"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
APP_ADDRESS, WEB = "com.acme.app:/in", "https://app.acme.example/in?x=1"
EXCHANGE = "/api/client/auth/exchange"


@pytest.fixture(autouse=True)
async def listed(app: App, another_day: None) -> None:
    await settle(app, "acme", returnAddresses=[APP_ADDRESS, WEB])


def start(address: str = APP_ADDRESS, challenge: str = CHALLENGE) -> str:
    return f"/sign-in?client=acme&response=code&returnTo={quote(address, safe='')}&codeChallenge={challenge}"


async def signed_in(app: App, address: str = APP_ADDRESS) -> Page:
    visitor = Visitor(app)
    page = await visitor.get(start(address))
    page = await visitor.submit(page, "/sign-in/password", email="author@acme.example", password=PASSWORD)
    assert page.location.startswith("/sign-in/done?s=")
    assert "code=" not in page.location
    assert "session" not in visitor.cookies
    return await visitor.get(page.location)


def code_of(page: Page) -> str:
    [code] = parse_qs(urlsplit(page.links()["Continue"]).query)["code"]
    return code


async def test_an_app_exchanges_the_code_for_a_session_of_its_own(app: App) -> None:
    page = await signed_in(app)
    assert page.links()["Continue"].startswith(f"{APP_ADDRESS}?code=")
    assert page.tree.xpath("//meta[@http-equiv='refresh']") == []
    body = {"code": code_of(page), "codeVerifier": VERIFIER}
    data = check_success(await app.post(EXCHANGE, body))
    assert data["user"]["email"] == "author@acme.example"
    me = (await app.me(data["token"])).data
    assert me["session"]["method"] == "password"
    check_refusal(await app.post(EXCHANGE, body), 401, "SSO_FAILED")
    assert (await app.me(data["token"])).status == 401  # used twice, so one of the two stole it


async def test_a_reload_shows_the_same_code(app: App) -> None:
    visitor = Visitor(app)
    page = await visitor.submit(
        await visitor.get(start()), "/sign-in/password", email="author@acme.example", password=PASSWORD
    )
    code, again = [code_of(await visitor.get(page.location)) for _ in range(2)]
    assert again == code
    check_success(await app.post(EXCHANGE, {"code": code, "codeVerifier": VERIFIER}))


async def test_a_web_address_is_reached_by_itself(app: App) -> None:
    page = await signed_in(app, WEB)
    [refresh] = page.tree.xpath("//meta[@http-equiv='refresh']/@content")
    assert refresh == f"0; url={WEB}&code={code_of(page)}"


@matrix("verifier", ["", "another-verifier-of-43-characters-and-more-000"])
async def test_without_the_verifier_it_is_worth_nothing(app: App, verifier: str) -> None:
    code = code_of(await signed_in(app))
    check_refusal(await app.post(EXCHANGE, {"code": code, "codeVerifier": verifier}), 401, "SSO_FAILED")
    check_refusal(await app.post(EXCHANGE, {"code": code, "codeVerifier": VERIFIER}), 401, "SSO_FAILED")


async def test_it_lives_for_a_minute(app: App) -> None:
    code = code_of(await signed_in(app))
    app.clock.advance(60)
    check_refusal(await app.post(EXCHANGE, {"code": code, "codeVerifier": VERIFIER}), 401, "SSO_FAILED")


@matrix("challenge", ["", "short", "A" * 42, "A" * 42 + "!"])
async def test_every_code_needs_a_challenge(app: App, challenge: str) -> None:
    assert (await Visitor(app).get(start(challenge=challenge))).status == 400


async def test_who_is_signed_in_presses_before_a_code_is_given(app: App) -> None:
    visitor = await Visitor(app).signed_in()
    page = await visitor.get(start())
    assert (page.status, page.heading) == (200, "You're signed in")
    assert "code=" not in page.reply.text
    page = await visitor.follow(await visitor.submit(page, "/sign-in/done"))
    data = check_success(await app.post(EXCHANGE, {"code": code_of(page), "codeVerifier": VERIFIER}))
    assert data["user"]["email"] == "author@acme.example"
    assert (await app.me(cookie=visitor.cookies["session"])).status == 200


async def test_a_session_that_ended_in_the_meantime_gives_none(app: App) -> None:
    visitor = await Visitor(app).signed_in()
    page = await visitor.get(start())
    await app.post("/api/client/auth/sign-out", cookie=visitor.cookies["session"])
    page = await visitor.submit(page, "/sign-in/done")
    assert page.location.startswith("/sign-in?s=")
    assert "code=" not in page.location


async def test_wrong_passwords_count_as_they_do_everywhere(app: App) -> None:
    visitor = Visitor(app)
    page = await visitor.get(start())
    page = await visitor.submit(page, "/sign-in/password", email="author@acme.example", password="wrong")
    assert page.status == 401
    page = await visitor.submit(page, "/sign-in/password", email="author@acme.example", password=PASSWORD)
    assert page.status == 303
