"""Users manage their account in a browser, with and without scripts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.account_states import WITH_MAIL, elsewhere, linked, new_person
from tests.browser.driver import ONE_BY_ONE, Chromium
from tests.browser.pages import Setup, forget, open_, press, set_up, sign_in
from tests.support.matrix import some_of
from tests.support.server import DEMO_PASSWORD, served
from tests.support.user_management import NEW


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with served(tmp_path_factory.mktemp("server"), **WITH_MAIL) as running:
        yield set_up(running)


@pytest.fixture(scope="module", params=some_of(["scripts", "no scripts"], "scripts"))
def browser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile"), *ONE_BY_ONE) as opened:
        opened.scripts(on=request.param == "scripts")
        yield opened


@pytest.fixture
def ada(setup: Setup, browser: Chromium) -> str:
    """A user who has just signed in; returns their address."""
    forget(browser)
    email = new_person(setup)
    sign_in(setup, browser, email=email)
    return email


def at(setup: Setup, browser: Chromium, path: str) -> None:
    open_(browser, f"{setup.server.base}{path}")


def from_menu(browser: Chromium, path: str) -> None:
    """Open the menu, which is closed on a narrow screen, and follow a link."""
    browser.press(".menu > summary")
    press(browser, f".menu a[href='{path}']")


def test_a_user_changes_the_password_and_ends_another_session(setup: Setup, browser: Chromium, ada: str) -> None:
    elsewhere(setup, ada)
    from_menu(browser, "/account/sessions")
    browser.shows("Other sessions")
    press(browser, "tbody button")
    browser.shows("Session ended.")
    browser.shows("You have no other sessions")
    elsewhere(setup, ada)
    from_menu(browser, "/account/password")
    browser.type("#currentPassword", DEMO_PASSWORD)
    browser.type("#newPassword", NEW)
    press(browser)
    browser.shows("Password changed. All other sessions ended.")
    forget(browser)
    sign_in(setup, browser, NEW, ada)
    browser.shows("Your account")


@pytest.mark.endurance
def test_a_user_saves_the_profile(setup: Setup, browser: Chromium, ada: str) -> None:
    at(setup, browser, "/account/profile")
    for field, text in (("firstName", "Ada"), ("lastName", "Byron"), ("title", "Head of maintenance")):
        browser.type(f"#{field}", text)
    press(browser)
    browser.shows("Profile saved.")
    at(setup, browser, "/account")
    browser.shows("Ada Byron")
    browser.shows("Head of maintenance")


@pytest.mark.endurance
def test_a_user_requests_a_new_address(setup: Setup, browser: Chromium, ada: str) -> None:
    at(setup, browser, "/account/email")
    browser.type("#newEmail", "ada")
    browser.type("#currentPassword", DEMO_PASSWORD)
    press(browser)
    browser.shows("Enter a valid email address")
    browser.until("document.activeElement.getAttribute('role') === 'alert'")
    browser.type("#newEmail", f"new-{ada}")
    browser.type("#currentPassword", DEMO_PASSWORD)
    press(browser)
    browser.shows(f"We sent a link to new-{ada}.")


@pytest.mark.endurance
def test_a_user_chooses_a_language_for_every_browser(setup: Setup, browser: Chromium, ada: str) -> None:
    at(setup, browser, "/account/language")
    browser.press("#language-fr")
    press(browser)
    browser.shows("Votre langue est enregistrée.")
    forget(browser)
    sign_in(setup, browser, email=ada)
    browser.shows("Votre compte")


@pytest.mark.endurance
def test_a_user_links_an_account_and_unlinks_it(setup: Setup, browser: Chromium, ada: str) -> None:
    with linked(setup, browser) as issuer:
        assert browser.value("location.pathname") == "/account/identities"
        assert [address for address in browser.requests if address.startswith(issuer)]
        browser.shows("The <b>Company</b>")
        press(browser, "main .danger")
        browser.shows("Unlink your account at The <b>Company</b>?")
        press(browser, "main .danger")
        browser.shows("Account unlinked.")
