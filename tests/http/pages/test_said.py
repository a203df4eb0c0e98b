"""The message after a change is shown once, only on the page where the change was made, and never by a link."""

from __future__ import annotations

import pytest

from tests.http.pages.console.provider_wizard import Wizard, metadata_of
from tests.http.pages.installation.console import act
from tests.support.accounts import new_user
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.saml_idp import Idp
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

ADMIN = "admin@acme.example"
CONSOLE = {
    "/console": (), "/console/users": (), "/console/rules": ("saved",), "/console/domains": ("claimed", "proved"),
    "/console/branding": ("saved", "logo"),
}  # fmt: skip
INSTALLATION = {
    "/installation": ("set-up",), "/installation/clients/acme": ("made", "deleted"), "/installation/keys": ("rotated",),
    "/installation/admins": ("disabled",), "/installation/account": ("password",), "/installation/licence": ("1",),
    "/installation/settings": ("saved",), "/installation/throttles": ("3",),
}  # fmt: skip
ACCOUNT = {"/account/profile": ("profile",), "/account/sessions": ("session",), "/account/password": ("password",)}


def notices(page: Page) -> list[str]:
    assert page.status == 200, page.text
    return [" ".join(each.text_content().split()) for each in page.tree.xpath("//main//*[@role='status']")]


async def by_links(visitor: Visitor, path: str, words: tuple[str, ...]) -> None:
    usual = notices(await visitor.get(path))
    for word in (*words, "saved", "1"):
        for name in ("done", "said", "saved", "cleared"):
            page = await visitor.get(f"{path}?{name}={word}")
            assert (page.status == 400) or notices(page) == usual, (name, word)


@rule("NOTICES")
@matrix("path", [*CONSOLE, *ACCOUNT])
async def test_no_link_makes_a_page_say_that_something_was_done(app: App, path: str) -> None:
    await by_links(await Visitor(app).signed_in(ADMIN), path, (CONSOLE | ACCOUNT)[path])


async def test_no_link_makes_the_page_of_a_user_say_so(app: App) -> None:
    number, _ = await new_user(app)
    await by_links(await Visitor(app).signed_in(ADMIN), f"/console/users/{number}", ("sessions", "deactivated"))


async def test_no_link_makes_the_page_of_a_provider_say_so(app: App) -> None:
    wizard = Wizard(await Visitor(app).signed_in(ADMIN), "okta-said")
    page = await wizard.make("okta-saml", saml__metadata=metadata_of(Idp("https://said.example")))
    assert page.status == 303, page.problems
    await by_links(wizard.visitor, wizard.path, ())
    said = await wizard.save("rules", createUsers="")
    assert (said.status, said.location) == (303, f"{wizard.path}?step=live")
    assert notices(await wizard.visitor.follow(said)) == ["Saved."]
    assert notices(await wizard.visitor.follow(said)) == []


@rule("NOTICES")
@matrix("path", INSTALLATION)
async def test_no_link_makes_a_page_of_the_installation_say_so(app: App, path: str) -> None:
    await by_links(await Visitor(app).system_admin(), path, INSTALLATION[path])


async def test_it_is_said_once_where_it_was_done_and_nowhere_else(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    done = await act(visitor, "/installation/keys", act="rotate", purpose="forms")
    assert (done.status, done.location) == (303, "/installation/keys")
    for other in ("/installation/admins", "/installation/settings", "/installation/licence", "/installation/throttles"):
        assert notices(await visitor.get(other)) == []
    [sentence] = notices(await visitor.follow(done))
    assert sentence.startswith("Keys rotated.")
    assert notices(await visitor.follow(done)) == []
