"""Sign-in on pages starts with the client or the email address, and ends at the right address."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.accounts import settle
from tests.support.application import PASSWORD, App, running
from tests.support.matrix import matrix
from tests.support.single_sign_on import add_provider
from tests.support.statements import counted_statements
from tests.support.visitor import Page, Visitor

pytestmark = [pytest.mark.one_store, pytest.mark.still]

AUTHOR = "author@acme.example"
WRONG = "Incorrect email address or password."
START = "/sign-in?client=acme"
OIDC = {"issuer": "https://globex.okta.example", "clientId": "c", "clientSecret": "s"}


async def typed(visitor: Visitor, start: str = START, email: str = AUTHOR, password: str = PASSWORD) -> Page:
    """The response to the form on the client's page."""
    page = await visitor.get(start)
    return await visitor.submit(page, "/sign-in/password", email=email, password=password)


async def who(visitor: Visitor) -> str:
    me = await visitor.app.me(cookie=visitor.cookies.get("session", "none"))
    return str(me.json["data"]["user"]["email"]) if me.status == 200 else ""


async def test_with_a_client_everything_is_on_one_page(app: App) -> None:
    visitor = Visitor(app)
    page = await visitor.get(f"{START}&loginHint={AUTHOR}")
    assert page.heading == "Sign in to Acme"
    fields = {each.get("name"): each for each in page.tree.xpath("//form[@action='/sign-in/password']//input")}
    assert fields["email"].get("value") == AUTHOR
    assert (fields["email"].get("type"), fields["email"].get("autocomplete")) == ("email", "username")
    assert fields["password"].get("autocomplete") == "current-password"
    page = await typed(visitor)
    assert (page.status, page.location) == (303, "/account")
    assert await who(visitor) == AUTHOR
    assert "author@acme.example" in (await visitor.get("/account")).text


@matrix(
    "hint",
    ["call +49 30 1234", "x", "a@", "a b@c.example", "<b>@c.example", "a@b.example\u200b", "\u0430dmin@acme.example"],
)
@matrix("start", [START, "/sign-in?lang=en"])
async def test_a_hint_that_is_no_address_is_not_shown(app: App, start: str, hint: str) -> None:
    page = await Visitor(app).get(f"{start}&loginHint={quote(hint)}")
    assert page.status == 200
    assert page.tree.xpath("//input[@name='email']/@value") in ([], [""])
    assert not page.tree.xpath("//input[@readonly]")


async def test_without_a_client_the_address_comes_first(app: App) -> None:
    visitor = Visitor(app)
    page = await visitor.submit(await visitor.get("/sign-in"), "/sign-in", email=AUTHOR)
    assert page.location.startswith("/sign-in/password?s=")
    assert AUTHOR not in page.location
    page = await visitor.follow(page)
    [email] = page.tree.xpath("//input[@name='email']")
    assert (email.get("value"), email.get("readonly")) == (AUTHOR, "readonly")
    page = await visitor.submit(page, "/sign-in/password", password=PASSWORD)
    assert page.location == "/account"
    assert await who(visitor) == AUTHOR


async def test_email_and_password_are_on_one_page_until_a_provider_lists_a_domain(tmp_path: Path) -> None:
    async with running(f"sqlite:///{tmp_path / 'store.db'}") as app:
        visitor = Visitor(app)
        page = await visitor.submit(
            await visitor.get("/sign-in"), "/sign-in", email=AUTHOR, password="not-the-password"
        )
        assert (page.status, page.problems) == (401, [WRONG])
        fields = page.form("/sign-in").fields
        assert (fields["email"], fields["password"]) == (AUTHOR, "")
        asked = await visitor.follow(await visitor.submit(page, "/sign-in", email=AUTHOR))
        assert asked.form("/sign-in/password").fields["email"] == AUTHOR
        page = await visitor.submit(page, "/sign-in", email=AUTHOR, password=PASSWORD)
        assert (page.location, await who(visitor)) == ("/account", AUTHOR)
        oidc = {"issuer": "https://idp.example", "clientId": "c", "clientSecret": "s"}
        await add_provider(app, "globex", oidc=oidc, enabled=False, domains=["globex.example"])
        assert "password" not in (await Visitor(app).get("/sign-in")).form("/sign-in").fields


async def test_the_next_page_depends_on_the_domain_alone(app: App) -> None:
    shown = []
    for email in (AUTHOR, "nobody@acme.example", "nobody@nowhere.example"):
        visitor = Visitor(app)
        page = await visitor.follow(await visitor.submit(await visitor.get("/sign-in"), "/sign-in", email=email))
        shown.append((page.heading, page.text.replace(email, "EMAIL"), page.status))
    assert len(set(shown)) == 1


@matrix("email", ["", "x", "no-at", "a@", "@b.example", "a b@c.example", "<b>@c.example"])
async def test_an_invalid_address_is_reported_beside_the_field(app: App, email: str) -> None:
    visitor = Visitor(app)
    page = await visitor.submit(await visitor.get("/sign-in"), "/sign-in", email=email)
    assert page.status == 400
    assert page.title.startswith("Error: ")
    assert page.problems == ["Enter a valid email address" if email else "Enter a value"]
    [field] = page.tree.xpath("//input[@name='email']")
    assert (field.get("value"), field.get("aria-invalid")) == (email, "true")
    described = field.get("aria-describedby")
    assert page.problems[0] in page.tree.get_element_by_id(described).text_content()


async def test_wrong_password_unknown_account_and_no_password_look_alike(app: App) -> None:
    answers = []
    for email in (AUTHOR, "nobody@acme.example"):
        page = await typed(Visitor(app), email=email, password="not-the-password")
        assert page.status == 401
        assert page.problems == [WRONG]
        assert page.title.startswith("Error: ")
        [summary] = page.tree.xpath("//*[@role='alert']")
        assert (summary.get("tabindex"), summary.get("autofocus")) == ("-1", "")
        assert page.form("/sign-in/password").fields["email"] == email
        assert page.form("/sign-in/password").fields["password"] == ""
        assert "not-the-password" not in page.reply.text
        answers.append(page.text.replace(email, "EMAIL"))
    assert answers[0] == answers[1]


async def test_what_is_missing_is_said_for_each_field(app: App) -> None:
    page = await typed(Visitor(app), email="", password="")
    assert (page.status, page.problems) == (400, ["Enter a value", "Enter a value"])
    labels = {label.get("for"): label.text for label in page.tree.xpath("//label")}
    named = {link.get("href")[1:]: link.findtext("strong") for link in page.tree.xpath("//*[@role='alert']//a")}
    assert named == {"email": labels["email"], "password": labels["password"]}
    links = [link.get("href") for link in page.tree.xpath("//*[@role='alert']//a")]
    assert links == ["#email", "#password"]


async def test_too_many_attempts_look_alike_and_say_when_to_try_again(app: App, another_day: None) -> None:
    visitor, email = Visitor(app), "viewer@acme.example"
    while (page := await typed(visitor, email=email, password="wrong")).status != 429:
        assert page.status == 401
    right = await typed(visitor, email=email)
    wait = int(page.reply.headers["retry-after"])
    assert (page.status, right.status) == (429, 429)
    assert f"(in {wait} second{'s' if wait > 1 else ''})" in page.text
    assert page.text == right.text
    [timer] = page.tree.xpath("//*[@role='timer']")
    assert timer.get("data-seconds") == str(wait)
    assert page.form("/sign-in/password").buttons[-1] == "Sign in"
    assert page.tree.xpath("//form[@action='/sign-in/password']//button[@disabled]") == []
    app.clock.advance(wait)
    assert (await typed(visitor, email=email)).status == 303


async def test_a_turned_off_account_is_said_after_the_proof_alone(app: App) -> None:
    user, admin = app.ids["operator@globex.example"], await app.admin_token()
    await app.post(f"/api/admin/clients/globex/users/{user}/deactivate", {}, token=admin)
    wrong = await typed(Visitor(app), "/sign-in?client=globex", "operator@globex.example", "wrong")
    assert (wrong.status, wrong.problems) == (401, [WRONG])
    page = await typed(Visitor(app), "/sign-in?client=globex", "operator@globex.example")
    assert (page.status, page.heading) == (403, "This account is deactivated")


async def test_an_unknown_client_is_said_in_words(app: App) -> None:
    page = await Visitor(app).get("/sign-in?client=nowhere")
    assert (page.status, page.heading) == (404, "Organization not found")


async def test_a_client_with_providers_shows_them_and_hides_what_it_does_not_use(app: App) -> None:
    await add_provider(app, "globex", name="okta", displayName="Okta of Globex", oidc=OIDC)
    page = await Visitor(app).get("/sign-in?client=globex")
    href = page.links()["Continue with Okta of Globex"]
    assert href.startswith(f"{app.public_url}/api/client/auth/oidc?client=globex&provider=okta&s=")
    await settle(app, "globex", passwordSignIn=False)
    page = await Visitor(app).get("/sign-in?client=globex")
    assert page.tree.xpath("//input[@name='password']") == []
    assert "Continue with Okta of Globex" in page.links()
    await settle(app, "globex", passwordSignIn=True)


async def test_anonymous_visitors_leave_no_row(app: App) -> None:
    visitor = Visitor(app)
    await visitor.get("/sign-in")
    with counted_statements() as seen:
        page = await visitor.get(f"{START}&returnTo=/account")
        await visitor.get(page.links()["Forgot your password?"])
        page = await visitor.submit(await visitor.get("/sign-in"), "/sign-in", email=AUTHOR)
        await visitor.follow(page)
        await visitor.get("/welcome")
        await visitor.submit(await visitor.get("/sign-in"), "/language", lang="de")
    assert seen
    assert not [one for one in seen if one.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE"))]


async def test_a_sign_in_ends_the_session_that_was_there_and_renews_the_forms_mark(app: App, another_day: None) -> None:
    visitor = await Visitor(app).signed_in()
    before, page = dict(visitor.cookies), await visitor.get(f"{START}&prompt=login")
    mark = visitor.cookies["form"]
    page = await visitor.submit(page, "/sign-in/password", email="viewer@acme.example", password=PASSWORD)
    assert page.status == 303
    assert await who(visitor) == "viewer@acme.example"
    assert (await app.me(cookie=before["session"])).status == 401
    assert visitor.cookies["form"] != mark


async def test_the_device_is_known_on_pages_and_below_the_api(app: App) -> None:
    visitor = Visitor(app)
    page = await typed(visitor)
    [line] = [line for line in page.reply.headers.get_list("set-cookie") if line.startswith("device=")]
    assert "; Path=/; " in line
    marker = visitor.cookies["device"]
    again = await typed(visitor, f"{START}&prompt=login")
    assert again.status == 303
    assert visitor.cookies["device"] == marker
    reply = await app.sign_in(headers={"Cookie": f"device={marker}"})
    assert not [line for line in reply.headers.get_list("set-cookie") if line.startswith("device=")]
    visitor.cookies["device"] = "A" * 22  # set by someone else
    await typed(visitor, f"{START}&prompt=login")
    assert visitor.cookies["device"] not in ("A" * 22, marker)
