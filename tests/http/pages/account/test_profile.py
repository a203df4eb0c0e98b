"""`/account/profile` and `/account/language` let users change their own profile and language."""

from __future__ import annotations

import json

import pytest

from tests.http.pages.account.account_pages import person, signed_in
from tests.support.accounts import settle, trail
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.people import user_of

pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]
PROFILE, LANGUAGE = "/account/profile", "/account/language"


async def test_names_and_title_are_saved_and_it_is_said_once(app: App) -> None:
    ada = await person(app)
    page = await ada.visitor.get(PROFILE)
    page = await ada.visitor.submit(page, PROFILE, firstName="Ada", lastName="Byron", title="Gräfin")
    assert (page.status, page.location) == (303, PROFILE)
    page = await ada.visitor.follow(page)
    [said] = page.tree.xpath("//*[@role='status']")
    assert " ".join(said.text_content().split()) == "Profile saved."
    assert page.form(PROFILE).fields["title"] == "Gräfin"
    assert page.tree.xpath("//input[@id='firstName']")[0].get("autocomplete") == "given-name"
    assert (await ada.visitor.get(PROFILE)).tree.xpath("//main//*[@role='status']") == []
    user = await user_of(app, ada.client, ada.id)
    assert (user["firstName"], user["lastName"], user["title"]) == ("Ada", "Byron", "Gräfin")
    event = (await trail(app, ada.client))[-1]
    assert (event.event, event.actor, event.subject) == ("user_changed", f"user:{ada.id}", f"user:{ada.id}")
    assert json.loads(event.detail)["after"] == {"first_name": "Ada", "last_name": "Byron", "title": "Gräfin"}


async def test_what_is_the_same_is_not_recorded(app: App) -> None:
    ada = await person(app, firstName="Ada")
    before = len(await trail(app, ada.client))
    page = await ada.visitor.submit(await ada.visitor.get(PROFILE), PROFILE)
    assert page.status == 303
    assert len(await trail(app, ada.client)) == before


@matrix(
    ("name", "problem"),
    [
        ("x" * 101, "Must have at most 100 characters"),
        ("a\x07b", "Control characters aren't allowed"),
        ("a\u200bb", "Remove the invisible character U+200B"),
        ("\u202eevil", "Remove the invisible character U+202E"),
    ],
)
async def test_an_invalid_name_is_reported_beside_its_field(app: App, name: str, problem: str) -> None:
    ada = await person(app, firstName="Ada")
    page = await ada.visitor.submit(await ada.visitor.get(PROFILE), PROFILE, firstName="New", lastName=name)
    assert (page.status, page.problems) == (400, [problem])
    assert page.title.startswith("Error: ")
    [link] = page.tree.xpath("//*[@role='alert']//a")
    assert link.get("href") == "#lastName"
    assert page.tree.get_element_by_id("lastName").get("aria-invalid") == "true"
    assert page.form(PROFILE).fields["firstName"] == "New"
    assert (await user_of(app, ada.client, ada.id))["firstName"] == "Ada"


async def test_a_sentence_is_said_in_the_readers_language(app: App) -> None:
    ada = await person(app)
    ada.visitor.language = "de"
    page = await ada.visitor.submit(await ada.visitor.get(PROFILE), PROFILE, firstName="a\u200bb")
    assert page.problems == ["Enthält ein unsichtbares Zeichen: U+200B"]


async def test_no_other_members_are_taken_from_the_form(app: App) -> None:
    ada = await person(app)
    fields = (await ada.visitor.get(PROFILE)).form(PROFILE).fields
    sent = {**fields, "email": "evil@x.example", "roles": "Admin", "description": "x", "language": "de", "id": "1"}
    assert (await ada.visitor.post(PROFILE, sent)).status == 303
    user = await user_of(app, ada.client, ada.id)
    assert (user["email"], user["roles"]) == (ada.email, ["Viewer"])
    assert 'lang="en"' in (await ada.visitor.get(PROFILE)).reply.text


async def test_a_language_counts_in_every_browser(app: App) -> None:
    ada = await person(app)
    page = await ada.visitor.submit(await ada.visitor.get(LANGUAGE), LANGUAGE, language="ja")
    page = await ada.visitor.follow(page)
    assert (page.tree.get("lang"), page.heading) == ("ja", "言語")
    [chosen] = page.tree.xpath("//input[@name='language'][@checked]")
    assert chosen.get("value") == "ja"
    other = await signed_in(app, ada.email, ada.client)
    assert (await other.get("/account")).tree.get("lang") == "ja"
    other.cookies["lang"] = "fr"  # set only in that browser
    assert (await other.get("/account")).tree.get("lang") == "fr"
    assert (await other.get("/account?lang=es")).tree.get("lang") == "es"
    assert (await ada.visitor.get("/sign-out")).tree.get("lang") == "ja"


async def test_with_none_chosen_browser_and_client_say_which(app: App) -> None:
    ada = await person(app)
    await ada.visitor.submit(await ada.visitor.get(LANGUAGE), LANGUAGE, language="de")
    await ada.visitor.submit(await ada.visitor.get(LANGUAGE), LANGUAGE, language="")
    assert "lang" not in ada.visitor.cookies
    assert (await ada.visitor.get("/account")).tree.get("lang") == "en"
    await settle(app, ada.client, language="pt")
    ada.visitor.language = "pt-BR"
    assert (await ada.visitor.get("/account")).tree.get("lang") == "pt"
    ada.visitor.language = "nl"
    assert (await ada.visitor.get("/account")).tree.get("lang") == "pt"


async def test_an_invalid_language_is_rejected(app: App) -> None:
    ada = await person(app)
    page = await ada.visitor.submit(await ada.visitor.get(LANGUAGE), LANGUAGE, language="xx")
    assert (page.status, len(page.problems)) == (400, 1)
    assert (await user_of(app, ada.client, ada.id))["id"] == ada.id
    assert (await ada.visitor.get("/account")).tree.get("lang") == "en"


async def test_a_word_in_the_cookie_says_only_what_we_say(app: App) -> None:
    ada = await person(app)
    ada.visitor.cookies["said"] = f"<b>You won</b>@{PROFILE}"
    page = await ada.visitor.get(PROFILE)
    assert page.tree.xpath("//main//*[@role='status']") == []
    assert "said" not in ada.visitor.cookies
