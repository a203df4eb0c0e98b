"""The client console in a browser, with and without scripts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.browser.console_states import Setup, console, fill, running, wrong_rule
from tests.browser.driver import ONE_BY_ONE, Chromium
from tests.browser.pages import press
from tests.support.matrix import some_of
from tests.support.pictures import Picture

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with running(tmp_path_factory.mktemp("server")) as made:
        yield made


@pytest.fixture(scope="module", params=some_of(["scripts", "no scripts"], "scripts"))
def browser(
    request: pytest.FixtureRequest, setup: Setup, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile"), *ONE_BY_ONE) as opened:
        setup.let_in(opened)
        opened.scripts(on=request.param == "scripts")
        yield opened


@pytest.fixture(scope="module")
def scripted(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile"), *ONE_BY_ONE) as opened:
        setup.let_in(opened)
        yield opened


def test_a_rejected_form_focuses_the_invalid_field(setup: Setup, browser: Chromium) -> None:
    wrong_rule(setup, browser)
    browser.until("document.activeElement.getAttribute('role') === 'alert'")
    assert str(browser.value("document.title")).startswith("Error: ")
    assert browser.value("document.getElementsByName('password.minLength')[0].value") == "2"


def test_an_admin_invites_sets_roles_and_ends_a_session(setup: Setup, browser: Chromium) -> None:
    email = f"by-hand-{next(_numbers)}@acme.example"
    console(setup, browser, "/invite")
    browser.type("#people", f"By Hand <{email}>")
    press(browser)
    browser.shows("1 of 1 invited")
    assert "/welcome#" in browser.value("document.querySelector('.copyable code').textContent")
    press(browser, "main table a")
    assert browser.value("document.querySelector('h1').textContent.trim()") == "By Hand"
    browser.value("document.querySelector('#roleOperator').checked = true")
    press(browser, "#set-roles ~ form .primary")
    browser.shows("Roles saved.")
    console(setup, browser, f"/users/{setup.user}")
    if browser.value("Boolean(document.querySelector('input[value=end-session]'))"):
        press(browser, "input[value=end-session] ~ button")
        browser.shows("Session ended.")


@pytest.mark.endurance
def test_a_change_of_rules_is_previewed_and_saved(setup: Setup, browser: Chromium) -> None:
    contact = f"Ask number {next(_numbers)}"
    console(setup, browser, "/rules?page=apps")
    fill(browser, contact=contact)
    press(browser, "main form.stack > div > .primary")
    browser.shows(f"Users who can't sign in see this contact: {contact}")
    browser.until("document.activeElement.id === 'preview'")
    press(browser, ".preview .primary")
    browser.shows("Settings saved.")
    assert browser.value("document.getElementsByName('contact')[0].value") == contact


@pytest.mark.endurance
def test_days_of_the_trail_are_those_of_the_browsers_time_zone(setup: Setup, scripted: Chromium) -> None:
    scripted._call("Emulation.setTimezoneOverride", timezoneId="America/New_York")
    console(setup, scripted, "/audit")
    assert "First day (America/New_York)" in scripted.value("document.querySelector('form.filters').textContent")
    scripted.value("document.getElementById('from').value = '2026-01-31'")
    press(scripted, "form.filters .button")
    scripted.shows("Days are in America/New_York.")
    scripted._call("Emulation.setTimezoneOverride", timezoneId="")


@pytest.mark.endurance
def test_a_logo_is_chosen_from_the_disk(
    setup: Setup, browser: Chromium, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("logo") / 'a "logo"; é.png'
    file.write_bytes(Picture(width=60, height=20).encoded())
    console(setup, browser, "/branding")
    root = browser._call("DOM.getDocument")["root"]["nodeId"]
    node = browser._call("DOM.querySelector", nodeId=root, selector="#logo")["nodeId"]
    browser._call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])
    press(browser, "form[enctype] .primary")
    browser.shows("Logo saved.")
    assert browser.value("document.querySelector('main img').naturalWidth") == 60
    press(browser, "input[value=drop-logo] ~ button")
    browser.shows("Logo removed.")


_FILL = "getComputedStyle(document.querySelector('[data-scheme={}] .sample-{}')).fill"


def test_a_color_is_previewed_while_it_is_chosen(setup: Setup, scripted: Chromium) -> None:
    browser = scripted
    console(setup, browser, "/branding")
    browser.complaints.clear()
    browser.type("[name='branding.accent']", "#ffcc00")
    browser.until(f"{_FILL.format('light', 'accent')} === 'rgb(255, 204, 0)'")
    assert browser.value(_FILL.format("dark", "on-accent")) == "rgb(0, 0, 0)"
    browser.until("document.querySelector('#picker').value === '#ffcc00'")
    assert "Light (not saved)" in browser.text()
    browser.value(
        "(p => { p.value = '#101010'; p.dispatchEvent(new Event('input')); })(document.querySelector('#picker'))"
    )
    browser.until(f"{_FILL.format('light', 'accent')} === 'rgb(16, 16, 16)'")
    assert browser.value("document.getElementsByName('branding.accent')[0].value") == "#101010"
    assert browser.value(_FILL.format("dark", "link")) != "rgb(16, 16, 16)"  # it would be unreadable there
    assert browser.complaints == []  # no policy was violated


@pytest.mark.endurance
def test_without_scripts_a_button_previews_a_color(setup: Setup, scripted: Chromium) -> None:
    browser = scripted
    browser.scripts(on=False)
    try:
        console(setup, browser, "/branding")
        assert not browser.value("document.querySelector('#picker').checkVisibility()")
        browser.type("[name='branding.accent']", "#ffcc00")
        press(browser, "button[value=preview]")
        browser.shows("Light (not saved)")
        assert browser.value(_FILL.format("light", "accent")) == "rgb(255, 204, 0)"
    finally:
        browser.scripts(on=True)


def test_the_menu_opens_without_a_script(setup: Setup, browser: Chromium) -> None:
    browser.size(320)
    console(setup, browser, "")
    assert not browser.value("document.querySelector('.menu a').checkVisibility()")
    browser.press(".menu > summary")
    browser.until("document.querySelector('.menu a').checkVisibility()")
    press(browser, ".menu a[href='/console/usage']")
    assert browser.value("document.querySelector('h1').textContent.trim()") == "Usage"
    browser._call("Emulation.clearDeviceMetricsOverride")
