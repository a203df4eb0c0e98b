"""When a provider sign-in fails, browsers get a page with the provider's name and other sign-in methods."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.support.accounts import act_on, new_client
from tests.support.application import App
from tests.support.envelope import check_refusal
from tests.support.matrix import matrix
from tests.support.oidc_op import Op
from tests.support.rules import rule
from tests.support.single_sign_on import Browser, add_oidc, begun, saml_provider
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
RETURN_TO = "https://app.acme.example/in"


@pytest.fixture
async def client(app: App, op: Op, another_day: None) -> str:
    identifier = await new_client(app, returnAddresses=[RETURN_TO])
    names: Any = {"name": "okta", "displayName": "Our Okta", "returnAddresses": [RETURN_TO]}
    await add_oidc(app, op, identifier, createUsers=False, **names)
    await saml_provider(app, identifier, name="entra", displayName="Our Entra")
    return identifier


def check(page: Page, status: int, heading: str) -> None:
    assert (page.status, page.heading) == (status, heading)
    assert page.reply.headers["x-request-id"] in page.text
    assert "Try again" in page.links()


async def test_a_person_without_an_account_is_shown_the_other_ways(app: App, op: Op, client: str) -> None:
    browser, back = await begun(app, op, client, provider="okta", returnTo=RETURN_TO)
    page = Page(await browser.send("GET", back, headers=HTML))
    check(page, 401, "Sign-in through Our Okta failed")
    links = page.links()
    assert links["Try again"] == f"/sign-in?client={client}&returnTo={quote(RETURN_TO, safe='')}"
    assert links["Continue with Our Entra"].startswith(f"{app.public_url}/api/client/auth/okta-saml?client={client}&")
    assert "Continue with Our Okta" not in links
    check_refusal(await browser.send("GET", back), 401, "SSO_FAILED")  # a program gets the envelope


@rule("PROVIDER-WORDS")
async def test_what_the_provider_says_is_not_shown(app: App, op: Op, client: str) -> None:
    browser, back = await begun(app, op, client, provider="okta")
    back = back.partition("?")[0] + "?" + "&".join(
        [part for part in back.partition("?")[2].split("&") if not part.startswith("code=")]
        + ["error=access_denied", "error_description=%3Cb%3Ebuy%20this%3C%2Fb%3E"]
    )  # fmt: skip
    page = Page(await browser.send("GET", back, headers=HTML))
    check(page, 401, "Sign-in through Our Okta failed")
    assert "buy" not in page.reply.text


#: Error code → the page's message in some language.
SAID = [
    ("access_denied", "en", "You canceled the sign-in, or your organization's sign-in page rejected it."),
    (
        "access_denied",
        "de",
        "Die Anmeldung wurde auf der Anmeldeseite Ihrer Organisation abgebrochen",
    ),
    ("consent_required", "fr", "Votre consentement est nécessaire sur la page de connexion de votre organisation."),
    (
        "login_required",
        "es",
        "La página de inicio de sesión de su organización le pide que primero",
    ),
    ("server_error", "pt", "A página de início de sessão da sua organização tem uma falha própria."),
    ("invalid_scope", "ja", "シングルサインオンが正しく設定されていません。管理者に連絡してください。"),
    ("anything_else", "en", "Your organization's sign-in page rejected the sign-in."),
]


@matrix(("error", "language", "sentence"), SAID)
async def test_why_it_failed_is_said_in_the_readers_language(
    app: App, op: Op, client: str, error: str, language: str, sentence: str
) -> None:
    op.error = error
    browser, back = await begun(app, op, client, provider="okta")
    page = Page(await browser.send("GET", back, headers={**HTML, "Accept-Language": language}))
    [advice] = page.tree.xpath("//p[@class='lead']")
    assert page.status == 401
    assert advice.text.startswith(sentence)
    assert "own words" not in page.reply.text


async def test_another_browser_is_told_where_to_begin(app: App, op: Op, client: str) -> None:
    _, back = await begun(app, op, client, provider="okta")
    page = Page(await Browser(app).send("GET", back, headers=HTML))
    check(page, 401, "Sign-in through Our Okta failed")
    address = app.public_url.rstrip("/")
    assert f"started in a different browser, or not at {address}. Start again there with cookies allowed." in page.text


async def test_a_person_without_an_account_is_told_so(app: App, op: Op, client: str) -> None:
    browser, back = await begun(app, op, client, provider="okta")
    page = Page(await browser.send("GET", back, headers={**HTML, "Accept-Language": "de"}))
    assert "Für diese Person gibt es hier kein Konto." in page.text


async def test_a_provider_that_is_down(app: App, op: Op, client: str) -> None:
    await add_oidc(app, op, client, name="gone", oidc={"issuer": "http://127.0.0.1:9", "clientId": "c"})
    page = Page(await Browser(app).send("GET", f"/api/client/auth/oidc?client={client}&provider=gone", headers=HTML))
    check(page, 502, "Your organization's sign-in service isn't responding")
    assert "Continue with Our Okta" in page.links()


async def test_a_suspended_client_offers_no_way(app: App, client: str) -> None:
    await act_on(app, f"{client}/suspend")
    page = Page(await app.get(f"/api/client/auth/oidc?client={client}&provider=okta", headers=HTML))
    check(page, 403, "This organization is suspended")
    assert list(page.links()) == ["Try again"]


@matrix(
    ("path", "status"),
    [
        ("oidc?client=nowhere&provider=okta", 404),
        ("oidc/callback?state=unknown&code=x", 401),
        ("oidc/callback/nowhere/nothing?state=unknown&code=x", 401),
        ("oidc?client=acme&returnTo=//evil.example", 404),
        (f"oidc?client={'x' * 64}", 400),
        ("ms-dynamics/callback?state=x&code=y", 401),
    ],
)
async def test_an_address_that_was_made_up(app: App, path: str, status: int) -> None:
    page = Page(await app.get(f"/api/client/auth/{path}", headers=HTML))
    assert page.status == status
    assert list(page.links().values()) == ["/sign-in"]
    assert "evil" not in page.reply.text


async def test_a_posted_response_that_fails_is_a_page_too(app: App, client: str) -> None:
    headers = {**HTML, "Content-Type": "application/x-www-form-urlencoded", "Origin": "https://idp.example"}
    body = b"SAMLResponse=AAAA&RelayState=unknown"
    page = Page(await app.send("POST", "/api/client/auth/okta-saml", content=body, headers=headers))
    assert (page.status, page.heading) == (401, "Sign-in failed")


async def test_a_link_of_a_page_that_is_too_old_begins_again(app: App, client: str) -> None:
    visitor = Visitor(app)
    page = await visitor.get(f"/sign-in?client={client}")
    address = page.links()["Continue with Our Okta"].removeprefix(app.public_url)
    app.clock.advance(3600)
    page = await visitor.get(address)
    assert (page.status, page.location) == (302, "/sign-in?s=old")
    page = await Visitor(app).get(address)  # from another browser
    assert page.location == "/sign-in?s=old"


async def test_the_whole_way_from_the_page_to_the_listed_address(app: App, op: Op, client: str) -> None:
    await add_oidc(app, op, client, name="open", displayName="Open", createUsers=True, returnAddresses=[RETURN_TO])
    visitor = Visitor(app)
    page = await visitor.get(f"/sign-in?client={client}&loginHint=ada@acme.example&returnTo={RETURN_TO}")
    mark = visitor.cookies["form"]
    browser = Browser(app, visitor.cookies)
    started = await browser.send("GET", page.links()["Continue with Open"])
    assert "login_hint=ada%40acme.example" in started.headers["location"]
    assert "s=" not in started.headers["location"].replace("redirect_uri", "").partition("?")[0]
    ended = await browser.send("GET", op.visit(started.headers["location"]))
    assert (ended.status, ended.headers["location"]) == (302, RETURN_TO)
    assert (await app.me(cookie=visitor.cookies["session"])).status == 200
    assert visitor.cookies["form"] != mark
