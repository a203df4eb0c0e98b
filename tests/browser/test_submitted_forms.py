"""A page's form in a browser: double clicks, reloads, and Back repeat nothing, and no input is lost."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.browser.account_states import SEEN, asked_by_app
from tests.browser.driver import ONE_BY_ONE, Chromium
from tests.browser.pages import LOADED, Setup, forget, heading, open_, press, set_up, sign_in
from tests.support.server import DEMO_PASSWORD, served

_numbers = itertools.count(1)
ADMIN = "admin@acme.example"
KEY = "document.getElementById('secret-once')?.textContent ?? ''"
KEYS = "document.querySelectorAll('form input[name=act][value=revoke]').length"
#: Click the button that creates a key twice.
TWICE = """(button => { button.click(); setTimeout(() => button.click(), 180) })(
    document.querySelector("input[name=act][value=make]").form.querySelector("button"))"""
#: Whether a form on the page would be submitted now, without submitting it.
SUBMITTED = """(form => form.dispatchEvent(new SubmitEvent("submit", {
    bubbles: true, cancelable: true, submitter: form.querySelector("button:not([hidden])")
})))(document.querySelector("main form"))"""
#: Submit an old sign-in form from another page.
OLD = """(form => { form.action = "/sign-in"; form.elements.form.value = "TOKEN"; form.submit() })(
    document.querySelector("main form"))"""


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with served(tmp_path_factory.mktemp("server")) as running:
        yield set_up(running)


@pytest.fixture(scope="module", params=["scripts", "no scripts"])
def browser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile"), *ONE_BY_ONE) as opened:
        opened.scripts(on=request.param == "scripts")
        yield opened


@pytest.fixture(autouse=True)
def forgetful(browser: Chromium) -> None:
    forget(browser)


def test_a_double_click_a_reload_and_back_make_one_key(setup: Setup, browser: Chromium) -> None:
    sign_in(setup, browser, email=ADMIN)
    open_(browser, f"{setup.server.base}/console/service-accounts/new")
    browser.type("#name", f"press-{next(_numbers)}")
    press(browser)
    browser.value("window.before = true")
    browser.value(TWICE)
    browser.until(f"!window.before && {LOADED} && ({KEY}) !== ''")
    made = browser.value(KEY)
    assert browser.value(KEYS) == 1
    open_(browser, str(browser.value("location.href")))  # like a reload
    assert (browser.value(KEY), browser.value(KEYS)) == (made, 1)
    press(browser, ".notice form .primary")
    assert (browser.value(KEY), browser.value(KEYS)) == ("", 1)
    browser.value("window.before = true; history.back()")
    browser.until(f"!window.before && {LOADED}")
    assert (browser.value(KEY), browser.value(KEYS)) == ("", 1)


def test_a_button_says_that_it_is_working(setup: Setup, browser: Chromium, request: pytest.FixtureRequest) -> None:
    open_(browser, f"{setup.server.base}/sign-in")
    browser.value(SUBMITTED)
    if request.node.callspec.params["browser"] == "scripts":
        for element in ("main form button", "[role=status]"):
            browser.until(f"[...document.querySelectorAll('{element}')].some(each => each.textContent === 'Working…')")
        assert browser.value(SUBMITTED) is False
    else:
        assert browser.value(SUBMITTED) is True


def test_a_consent_page_ignores_a_click_meant_for_another_page(
    setup: Setup, browser: Chromium, request: pytest.FixtureRequest
) -> None:
    """The other site's page closed between the two clicks of a double click."""
    asked_by_app(setup, browser)
    has_scripts = request.node.callspec.params["browser"] == "scripts"
    assert browser.value(f"dispatchEvent(new Event('focus')), {SUBMITTED}") is not has_scripts
    if has_scripts:
        browser.until(SEEN)
        assert browser.value(SUBMITTED) is True


def test_entered_text_survives_the_end_of_the_session(setup: Setup, browser: Chromium) -> None:
    sign_in(setup, browser, email=ADMIN)
    open_(browser, f"{setup.server.base}/account/profile")
    browser.type("#firstName", "Grace")
    browser._call("Network.deleteCookies", name="session", url=setup.server.base)
    press(browser)
    assert heading(browser) == "Sign in"
    browser.type("#email", ADMIN)
    press(browser)
    browser.type("#password", DEMO_PASSWORD)
    press(browser)
    browser.shows("Nothing was saved because your session expired.")
    assert browser.value("document.querySelector('#firstName').value") == "Grace"
    press(browser)
    browser.shows("Profile saved.")


def test_going_back_after_a_sign_in_continues(setup: Setup, browser: Chromium) -> None:
    open_(browser, f"{setup.server.base}/sign-in")
    token = browser.value("document.querySelector('main input[name=form]').value")
    sign_in(setup, browser)
    open_(browser, f"{setup.server.base}/sign-out")
    browser.value("window.before = true")
    browser.value(OLD.replace("TOKEN", token))
    browser.until(f"!window.before && {LOADED}")
    assert "expired" not in heading(browser)
