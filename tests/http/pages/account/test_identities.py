"""`/account/identities` links and unlinks identities, but keeps the last way to sign in."""

from __future__ import annotations

import pytest

from tests.http.pages.account.account_pages import person
from tests.support.application import App
from tests.support.people import OidcProvider, oidc_provider
from tests.support.single_sign_on import Browser
from tests.support.visitor import Page, Visitor

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
PATH = "/account/identities"


def forms(page: Page, field: str) -> dict[str, dict[str, str]]:
    """The forms with that field, by its value."""
    found = {}
    for form in page.tree.xpath(f"//form[@action='{PATH}'][.//input[@name='{field}']]"):
        fields = {each.get("name"): each.get("value") for each in form.xpath(".//input")}
        found[fields[field]] = fields
    return found


async def leave(visitor: Visitor, company: OidcProvider) -> tuple[Page, dict[str, str]]:
    """Click Link; returns the page that redirects, and the cookies of the sign-in in progress."""
    page = await visitor.get(PATH)
    page = await visitor.post(PATH, forms(page, "link")[company.name])
    assert (page.status, page.location.partition("?")[0]) == (303, f"{PATH}/provider")
    flow = dict(
        line.partition(";")[0].split("=", 1)
        for line in page.reply.headers.get_list("set-cookie")
        if "; Path=/api/client/auth;" in line
    )
    return await visitor.follow(page), flow


async def test_another_is_linked_and_the_browser_comes_back(app: App) -> None:
    async with oidc_provider(app, displayName="The company") as company:
        ada = await person(app, company.client)
        page = await ada.visitor.get(PATH)
        assert "No linked accounts" in page.text
        page, flow = await leave(ada.visitor, company)
        address = page.links()["Continue"]
        [refresh] = page.tree.xpath("//meta[@http-equiv='refresh']/@content")
        assert refresh == f"0; url={address}"
        assert address.startswith(company.op.issuer)
        company.knows("ada", "ada@elsewhere.example")
        browser = Browser(app, {**ada.visitor.cookies, **flow})
        ended = await browser.send("GET", company.op.visit(address))
        assert (ended.status, ended.headers["location"]) == (302, PATH)
        page = await ada.visitor.get(PATH)
        for text in ("The company", "Single sign-on", "ada@elsewhere.example", "Just linked"):
            assert text in page.text
        assert forms(page, "link") == {}
        app.clock.advance(600)
        assert "Just linked" not in (await ada.visitor.get(PATH)).text


async def test_it_is_unlinked_again(app: App) -> None:
    async with oidc_provider(app) as company:
        ada = await person(app, company.client)
        page, flow = await leave(ada.visitor, company)
        company.knows("ada")
        await Browser(app, {**ada.visitor.cookies, **flow}).send("GET", company.op.visit(page.links()["Continue"]))
        page = await ada.visitor.get(PATH)
        [fields] = forms(page, "unlink").values()
        asked = await ada.visitor.post(PATH, fields)
        assert (asked.status, asked.heading) == (200, f"Unlink your account at {company.name}?")
        assert "Ends the other sessions in which you signed in with it." in asked.text
        assert len(forms(await ada.visitor.get(PATH), "unlink")) == 1
        page = await ada.visitor.follow(await ada.visitor.submit(asked, PATH))
        assert "Account unlinked." in page.text
        assert forms(page, "unlink") == {}
        again = await ada.visitor.post(PATH, fields | {"form": page.form(PATH).fields["form"]})
        assert again.status == 404


async def test_the_last_way_in_is_not_offered_and_stays(app: App) -> None:
    async with oidc_provider(app, vouches=True, createUsers=True) as company:
        browser = await company.sign_in("ada", f"ada@{company.client}.example")
        visitor = Visitor(app, {"session": browser.cookies["session"]})
        page = await visitor.get(PATH)
        sentence = "This is your only sign-in method. Link another account or request a password first."
        assert sentence in page.text
        assert forms(page, "unlink") == {}
        [row] = (await app.get("/api/client/auth/identities", cookie=browser.cookies["session"])).data["items"]
        ada = await person(app, company.client)  # a user with a form of that page
        own = {"form": next(iter(forms(await ada.visitor.get(PATH), "link").values()))["form"]}
        assert (await ada.visitor.post(PATH, {**own, "unlink": str(row["id"])})).status == 404
        async with oidc_provider(app, company.client):
            token = next(iter(forms(await visitor.get(PATH), "link").values()))["form"]
            refused = await visitor.post(PATH, {"form": token, "unlink": str(row["id"])})
            assert (refused.status, refused.problems) == (409, [sentence])


async def test_the_one_that_made_the_account_stays(app: App) -> None:
    async with oidc_provider(app, createUsers=True) as company:
        browser = await company.sign_in("ada", "ada@nowhere.example")
        page = await Visitor(app, {"session": browser.cookies["session"]}).get(PATH)
        assert "This account was created by this provider. Ask an administrator to unlink it." in page.text
        assert forms(page, "unlink") == {}


async def test_a_provider_that_is_off_or_unknown_links_nothing(app: App) -> None:
    async with oidc_provider(app) as company:
        ada = await person(app, company.client)
        [fields] = forms(await ada.visitor.get(PATH), "link").values()
        assert (await ada.visitor.post(PATH, {**fields, "link": "nowhere"})).status == 404
        missing = await ada.visitor.post(PATH, {**fields, "link": ""})
        assert (missing.status, missing.problems) == (400, ["Enter a value"])
        await company.send("POST", "/switch-off")
        assert forms(await ada.visitor.get(PATH), "link") == {}
        refused = await ada.visitor.post(PATH, fields)
        assert (refused.status, refused.heading) == (401, "Linked accounts")


async def test_what_leads_on_counts_in_its_own_session_alone(app: App) -> None:
    async with oidc_provider(app) as company:
        ada, bob = await person(app, company.client), await person(app, company.client)
        page = await ada.visitor.get(PATH)
        page = await ada.visitor.post(PATH, forms(page, "link")[company.name])
        bob.visitor.cookies["form"] = ada.visitor.cookies["form"]
        for visitor, address in ((bob.visitor, page.location), (ada.visitor, f"{PATH}/provider?s=made-up")):
            answer = await visitor.get(address)
            assert (answer.status, answer.location) == (303, PATH)
        state = (await ada.visitor.get(page.location)).status
        assert state == 200
        sign_in = await ada.visitor.get(f"/sign-in?s={page.location.partition('=')[2]}")
        assert company.op.issuer not in sign_in.reply.text
