"""Pages and emails are readable in any brand color, in light and dark, and don't shift.

Every kind of background is checked with a text and a link, and so are console pages with errors and notices. Only the
contrast depends on the color; ``test_looks.py`` runs every rule on every page.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from manifest_auth.runtime.mail import PRODUCT
from manifest_auth.runtime.mail.looks import html_of
from manifest_auth.tenants import brand_assets
from tests.browser import axe
from tests.browser.console_states import STATES, Setup, at, running, signed_in
from tests.browser.driver import Chromium
from tests.browser.looking import SCHEMES
from tests.browser.pages import LOADED, forget, open_, send
from tests.runtime.mail.test_emails import MADE, READER
from tests.support.matrix import matrix
from tests.tenants.test_accent_colours import BRANDS

pytestmark = pytest.mark.needs("node", "npm")

_CONTRAST = ("color-contrast", "link-in-text-block")
#: Every background of the stylesheet, with the elements on it.
_EVERY = """document.querySelector('main').insertAdjacentHTML('beforeend', ['panel', 'card', 'person', 'summary',
  'empty', 'notice notice-plain', 'notice notice-good', 'notice notice-bad', 'notice notice-note'].map(each => `
  <div class="${each}">
  <p>A text and <a href="#main">a link</a></p><p class="fine">Fine, and <a href="#main">a link</a></p>
  <p><button class="button">Act</button> <button class="button primary">Act</button>
  <button class="button danger">Act</button> <span class="badge">State</span> <span class="badge badge-good">Good</span>
  <span class="badge badge-bad">Bad</span> <span class="badge badge-note">Note</span></p></div>`).join(''))"""
_SHIFTED = """new Promise(done => new PerformanceObserver(list => done(list.getEntries().map(each => each.value)))
  .observe({type: 'layout-shift', buffered: true}) || setTimeout(() => done([]), 300))"""
_NAMES = """[...document.querySelectorAll('[data-copies]')].map(each => each.getAttribute('aria-labelledby')
  .split(' ').map(id => document.getElementById(id).textContent).join(' '))"""
_SHOWN = ("GET /console", "POST /console/rules")


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with running(tmp_path_factory.mktemp("server")) as made:
        yield made


def _unreadable(browser: Chromium) -> list[str]:
    found = []
    for scheme in SCHEMES:
        browser.scheme(scheme)
        browser.value("document.getAnimations().forEach(each => each.finish())")
        found += [f"{scheme}: {each}" for each in axe.findings(browser, _CONTRAST)]
    return found


@matrix("accent", BRANDS)
def test_every_text_is_readable(setup: Setup, browser: Chromium, accent: str) -> None:
    token = signed_in(setup.server, "admin@acme.example")[1]
    send(setup.server, "/api/client/settings", {"branding": {"accent": accent}}, token, "PATCH")
    forget(browser)
    found = {}
    browser.open_without_policy(f"{setup.server.base}/sign-in?client=acme")
    browser.until(LOADED)
    browser.value(_EVERY)
    found["/sign-in"] = _unreadable(browser)
    for state in _SHOWN:
        STATES[state](setup, browser)
        found[state] = _unreadable(browser)
    assert {state: wrong for state, wrong in found.items() if wrong} == {}


@matrix("accent", BRANDS)
def test_every_email_is_readable(browser: Chromium, accent: str) -> None:
    look = PRODUCT._replace(name="Acme", **brand_assets.palette_of(accent)._asdict())
    found = {}
    for name in ("reset", "email_undone", "domain_failing") if accent == BRANDS[0] else ("reset",):
        document = html_of(MADE[name](READER), look)
        open_(browser, "data:text/html;base64," + base64.b64encode(document.encode()).decode())
        found[name] = _unreadable(browser) + axe.findings(browser, [tag for tag in axe.TAGS if tag.startswith("wcag")])
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_the_description_of_the_api_is_readable_on_a_phone(setup: Setup, browser: Chromium) -> None:
    browser.size(320)
    open_(browser, f"{setup.server.base}/docs/api")
    browser.value("document.querySelectorAll('details').forEach((each, place) => { each.open = place % 9 === 0; })")
    assert _unreadable(browser) + axe.findings(browser) == []
    browser.value("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    assert not browser.value("document.documentElement.scrollWidth > document.documentElement.clientWidth")


def test_a_card_keeps_its_position_and_size(setup: Setup, browser: Chromium) -> None:
    """``layout-shift`` measures movement after the first display, such as when a module shows a button."""
    forget(browser)
    browser.size(1280)
    heights = set()
    for path in ("/sign-in", "/sign-in?client=acme", "/forgot", "/welcome", "/sign-out"):
        open_(browser, setup.server.base + path)
        heights.add(browser.value("document.querySelector('main').getBoundingClientRect().top"))
        assert browser.value(_SHIFTED) == [], path
    assert len(heights) == 1


def test_each_copy_button_is_named_with_its_value(setup: Setup, browser: Chromium) -> None:
    at("/domains")(setup, browser)
    names = browser.value(_NAMES)
    assert len(names) > 3
    assert len(set(names)) == len(names)
    assert all(name.startswith("Copy ") for name in names)


def test_fields_in_a_row_have_the_same_height(setup: Setup, browser: Chromium) -> None:
    """Browsers render text fields, selects, and date fields differently."""
    at("/audit")(setup, browser)
    fields = "[...document.querySelectorAll('.filters :is(input, select)')].map(each => [each.type, each.offsetHeight])"
    assert {height for kind, height in browser.value(fields) if kind != "hidden"} == {48}
