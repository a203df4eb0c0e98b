"""`/account/passkeys` adds, names, and removes passkeys with form posts only."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.http.pages.account.account_pages import Person, person
from tests.support.accounts import settle
from tests.support.application import App
from tests.support.authenticator import Authenticator
from tests.support.passkeys import ORIGIN, PUBLIC
from tests.support.visitor import Page, Visitor

pytestmark = [pytest.mark.settings(**PUBLIC), pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
PATH = "/account/passkeys"


async def at_its_name(app: App) -> Person:
    """A user with a browser at the public address."""
    ada = await person(app)
    ada.visitor.headers["Host"] = "login.example.com"
    return ada


async def added(visitor: Visitor, key: Authenticator, name: str = "") -> Page:
    """Add a passkey that the browser creates with the options of the page."""
    page = await visitor.get(f"{PATH}?way=new")
    [text] = page.tree.xpath("//*[@data-passkey='make']/@data-options")
    options: dict[str, Any] = json.loads(text)
    return await visitor.submit(page, PATH, credential=json.dumps(key.create(options)), name=name)


async def test_one_is_added_named_and_removed(app: App) -> None:
    ada = await at_its_name(app)
    page = await ada.visitor.get(PATH)
    assert page.links()["Add a passkey"] == f"{PATH}?way=new"
    page = await added(ada.visitor, Authenticator(ORIGIN), "My <b>key</b>")
    assert len(page.tree.xpath("//*[@id='codes']//code")) == 10
    page = await ada.visitor.follow(await added(ada.visitor, Authenticator(ORIGIN), "Second"))
    assert "Passkey added. All other sessions ended." in page.text
    assert {h2.text_content() for h2 in page.tree.xpath("//main//h2")} == {"My <b>key</b>", "Second"}
    page = await ada.visitor.get(page.links()["Rename"])
    page = await ada.visitor.submit(page, PATH, name="")
    assert (page.status, page.problems) == (400, ["Enter a value"])
    page = await ada.visitor.follow(await ada.visitor.submit(page, PATH, name="Third"))
    assert "Passkey renamed." in page.text
    names = [h2.text_content() for h2 in page.tree.xpath("//main//h2")]
    assert len(names) == 2
    assert "Third" in names
    form = next(form.fields for form in page.forms() if form.fields.get("act") == "remove")
    page = await ada.visitor.post(PATH, form)
    assert (page.heading, "You then have no second factor" in page.text) == (f"Remove the passkey {names[0]}?", False)
    page = await ada.visitor.follow(await ada.visitor.shown(page))
    assert "Passkey removed." in page.text
    assert len(page.tree.xpath("//main//h2")) == 1


async def test_an_answer_that_does_not_fit_is_rejected_in_words(app: App) -> None:
    ada = await at_its_name(app)
    for credential in ("", "{}", "[]"):
        page = await ada.visitor.get(f"{PATH}?way=new")
        page = await ada.visitor.submit(page, PATH, credential=credential, name="kept")
        assert page.status == 400
        assert page.form(PATH).fields["name"] == "kept"
        assert page.tree.xpath("//*[@data-passkey='make']/@data-options")


async def test_to_add_one_needs_a_recent_proof_and_looking_does_not(app: App) -> None:
    ada = await at_its_name(app)
    app.clock.advance(601)
    assert (await ada.visitor.get(PATH)).status == 200
    page = await ada.visitor.get(f"{PATH}?way=new")
    assert page.location == f"/reauthenticate?returnTo={PATH}?way=new"


async def test_the_last_factor_of_one_who_needs_one_stays(app: App) -> None:
    ada = await at_its_name(app)
    await added(ada.visitor, Authenticator(ORIGIN))
    await settle(app, ada.client, secondFactor={"policy": "required"})
    page = await ada.visitor.get(PATH)
    assert not [form for form in page.forms() if form.fields.get("act") == "remove"]
    assert "Add another one before you remove this one" in page.text


async def test_a_client_without_passkeys_offers_none(app: App) -> None:
    ada = await at_its_name(app)
    await settle(app, ada.client, secondFactor={"methods": ["totp"]})
    page = await ada.visitor.get(PATH)
    assert "Your organization doesn't use passkeys." in page.text
    assert "Add a passkey" not in page.links()


async def test_password_managers_find_the_page_by_a_well_known_address(app: App) -> None:
    reply = await app.get("/.well-known/passkey-endpoints")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.json == {"enroll": f"{ORIGIN}{PATH}", "manage": f"{ORIGIN}{PATH}"}
