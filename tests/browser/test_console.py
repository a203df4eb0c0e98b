"""The client console in a browser: each page with much in it, with scripts and without, in every state."""

from __future__ import annotations

import itertools
import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pyotp
import pytest

from tests.browser import axe
from tests.browser.driver import Chromium
from tests.browser.pages import open_, press, send
from tests.support.pictures import Picture
from tests.support.server import DEMO_PASSWORD, Server, served

_numbers = itertools.count(1)
PAGES = ("", "/users", "/users?q=nothing-is-found", "/invite", "/rules", "/domains", "/branding", "/audit", "/usage")
#: Colours and width. Each page and state is seen on the narrowest screen; in all looks where there is time for it.
NARROW = ("light", 320)
OTHERS = [look for look in itertools.product(("light", "dark"), (320, 1280, 1920)) if look != NARROW]
LOOKS = [NARROW, *(pytest.param(*look, marks=pytest.mark.endurance) for look in OTHERS)]


class Setup(NamedTuple):
    """``session``: an Admin's cookie; ``user``: the number of someone with a session."""

    server: Server
    session: str
    user: int


def signed_in(server: Server, email: str) -> tuple[str, str]:
    """The session cookie and the access token."""
    body = json.dumps({"email": email, "password": DEMO_PASSWORD}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.base}/api/client/auth/sign-in", body, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        lines = [line for line in answer.headers.get_all("set-cookie") if line.startswith("session=")]
        return lines[0].partition(";")[0].removeprefix("session="), json.load(answer)["data"]["token"]


def _with_app(server: Server, token: str) -> None:
    """Sets an authenticator app up, so that the page of the user has its reset."""
    own = "/api/client/auth/second-factors/totp"
    secret = send(server, own, {}, token)["data"]["secret"]
    send(server, f"{own}/confirm", {"otp": pyotp.TOTP(secret).now()}, token)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with served(tmp_path_factory.mktemp("server")) as server:
        session, token = signed_in(server, "admin@acme.example")
        root = {"username": "admin", "password": DEMO_PASSWORD}
        admin = send(server, "/api/admin/auth/sign-in", root)["data"]["token"]
        numbers = []
        for name in ("Grace Hopper", "Edsger Dijkstra", "Barbara " + "Long" * 20):
            first, last = name.split()
            email = f"{first}.{last}"[:50].lower() + "@acme.example"
            made = {
                "email": email,
                "firstName": first,
                "lastName": last,
                "roles": ["Author"],
                "password": DEMO_PASSWORD,
            }
            numbers.append(send(server, "/api/admin/clients/acme/users", made, admin)["data"]["id"])
            signed_in(server, email)
        for domain in ("acme-labs.example", "a" * 60 + ".example"):
            send(server, "/api/client/domains", {"domain": domain}, token)
        directory = {"directory": "aaaabbbb-0000-cccc-1111-dddd2222eeee"}
        send(server, "/api/client/directories", directory, token)
        origins = {"allowedOrigins": ["https://app.acme.example"], "contact": "IT help desk"}
        send(server, "/api/client/settings", origins, signed_in(server, "user-admin@acme.example")[1], "PATCH")
        _with_app(server, signed_in(server, "grace.hopper@acme.example")[1])
        yield Setup(server, session, numbers[0])


@pytest.fixture(scope="module", params=["scripts", "no scripts"])
def browser(
    request: pytest.FixtureRequest, setup: Setup, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as opened:
        opened._call("Network.setCookie", name="session", value=setup.session, url=setup.server.base)
        opened.scripts(on=request.param == "scripts")
        yield opened


@pytest.fixture(scope="module")
def scripted(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as opened:
        opened._call("Network.setCookie", name="session", value=setup.session, url=setup.server.base)
        yield opened


def console(setup: Setup, browser: Chromium, path: str) -> None:
    open_(browser, f"{setup.server.base}/console{path}")


def fill(browser: Chromium, **typed: str) -> None:
    for name, text in typed.items():
        browser.value(f"document.getElementsByName({json.dumps(name)})[0].value = {json.dumps(text)}")


def faults(setup: Setup, browser: Chromium) -> list[str]:
    """What is wrong with the page that is shown."""
    found = axe.findings(browser)
    if browser.value("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        found.append("scrolls sideways")
    small = (
        "[...document.querySelectorAll('main a.button, main button')]"
        ".filter(each => each.checkVisibility() && each.getBoundingClientRect().height < 48)"
        ".map(each => each.outerHTML)"
    )
    found += [f"smaller than 48 pixels: {each}" for each in browser.value(small)]
    foreign = [each for each in browser.requests if not each.startswith((setup.server.base, "about:", "data:"))]
    silent = [each for each in browser.complaints if "the server responded with a status of 4" not in each]
    return [*found, *foreign, *silent]


def look(browser: Chromium, scheme: str, width: int) -> None:
    browser._call("Emulation.setDeviceMetricsOverride", width=width, height=720, deviceScaleFactor=1, mobile=False)
    browser.scheme(scheme)
    browser.requests.clear()
    browser.complaints.clear()


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
@pytest.mark.parametrize("path", [*PAGES, "/users/{user}"])
def test_each_page(setup: Setup, scripted: Chromium, path: str, scheme: str, width: int) -> None:
    look(scripted, scheme, width)
    console(setup, scripted, path.format(user=setup.user))
    assert faults(setup, scripted) == []


def _invited(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/invite")
    fill(browser, people=f"new-{next(_numbers)}@acme.example\nno address\n" + "x" * 60 + "@acme.example")
    press(browser)


def _not_invited(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/invite")
    fill(browser, people="no address")
    press(browser)


def _previewed(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/rules")
    fill(browser, **{"password.minLength": "20", "allowedOrigins": "https://" + "long" * 40 + ".example"})
    press(browser, "main form.stack > div > .primary")


def _wrong_rule(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/rules")
    fill(browser, **{"password.minLength": "2"})
    press(browser, "main form.stack > div > .primary")


def _reset(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, f"/users/{setup.user}")
    press(browser, "input[value=reset] ~ button")


def _colour(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/branding")
    fill(browser, **{"branding.accent": "#ffcc00", "branding.name": "A " + "long " * 15 + "name"})
    press(browser, "button[value=preview]")


def _looked(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/domains")
    press(browser, "input[value=check] ~ button")


def _no_person(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/audit?person=no-one")


def _details(setup: Setup, browser: Chromium) -> None:
    console(setup, browser, "/audit")
    browser.value("document.querySelectorAll('details.more').forEach(each => { each.open = true; })")


STATES: dict[str, Callable[[Setup, Chromium], None]] = {
    "invited": _invited,
    "not invited": _not_invited,
    "a change is previewed": _previewed,
    "a rule is refused": _wrong_rule,
    "a link is shown": _reset,
    "a colour is previewed": _colour,
    "a domain was looked at": _looked,
    "no such user": _no_person,
    "details are open": _details,
}


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
@pytest.mark.parametrize("state", STATES)
def test_each_state(setup: Setup, scripted: Chromium, state: str, scheme: str, width: int) -> None:
    look(scripted, scheme, width)
    STATES[state](setup, scripted)
    assert faults(setup, scripted) == []


def test_a_refused_form_has_the_focus_on_what_is_wrong(setup: Setup, browser: Chromium) -> None:
    _wrong_rule(setup, browser)
    assert browser.value("document.activeElement.getAttribute('role')") == "alert"
    assert str(browser.value("document.title")).startswith("Error: ")
    assert browser.value("document.getElementsByName('password.minLength')[0].value") == "2"


def test_an_admin_invites_sets_roles_and_ends_a_session(setup: Setup, browser: Chromium) -> None:
    email = f"by-hand-{next(_numbers)}@acme.example"
    console(setup, browser, "/invite")
    browser.type("#people", f"By Hand <{email}>")
    press(browser)
    browser.shows("1 of 1 invited")
    assert "/welcome#" in browser.value("document.querySelector('.link-once').textContent")
    press(browser, "main table a")
    assert browser.value("document.querySelector('h1').textContent.trim()") == "By Hand"
    browser.value("document.querySelector('#roleOperator').checked = true")
    press(browser, "#set-roles ~ form .primary")
    browser.shows("The roles are set.")
    console(setup, browser, f"/users/{setup.user}")
    if browser.value("Boolean(document.querySelector('input[value=end-session]'))"):
        press(browser, "input[value=end-session] ~ button")
        browser.shows("The session has ended.")


def test_a_change_of_rules_is_shown_and_saved(setup: Setup, browser: Chromium) -> None:
    contact = f"Ask number {next(_numbers)}"
    console(setup, browser, "/rules")
    fill(browser, contact=contact)
    press(browser, "main form.stack > div > .primary")
    browser.shows(f"Users who need help are shown: {contact}")
    assert browser.value("document.activeElement.id") == "preview"
    press(browser, ".preview .primary")
    browser.shows("The rules are saved.")
    assert browser.value("document.getElementsByName('contact')[0].value") == contact


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
    browser.shows("The logo is set.")
    assert browser.value("document.querySelector('main img').naturalWidth") == 60
    press(browser, "input[value=drop-logo] ~ button")
    browser.shows("The logo is taken away.")


_FILL = "getComputedStyle(document.querySelector('[data-scheme={}] .sample-{}')).fill"


def test_a_colour_is_shown_while_it_is_chosen(setup: Setup, scripted: Chromium) -> None:
    browser = scripted
    console(setup, browser, "/branding")
    browser.complaints.clear()
    browser.type("[name='branding.accent']", "#ffcc00")
    browser.until(f"{_FILL.format('light', 'accent')} === 'rgb(255, 204, 0)'")
    assert browser.value(_FILL.format("dark", "on-accent")) == "rgb(0, 0, 0)"
    browser.until("document.querySelector('#picker').value === '#ffcc00'")
    assert "Light, not saved yet" in browser.text()
    browser.value(
        "(p => { p.value = '#101010'; p.dispatchEvent(new Event('input')); })(document.querySelector('#picker'))"
    )
    browser.until(f"{_FILL.format('light', 'accent')} === 'rgb(16, 16, 16)'")
    assert browser.value("document.getElementsByName('branding.accent')[0].value") == "#101010"
    assert browser.value(_FILL.format("dark", "link")) != "rgb(16, 16, 16)"  # it could not be read there
    assert faults(setup, browser) == []  # and no policy was violated


def test_without_scripts_a_colour_is_shown_by_a_button(setup: Setup, scripted: Chromium) -> None:
    browser = scripted
    browser.scripts(on=False)
    try:
        console(setup, browser, "/branding")
        assert not browser.value("document.querySelector('#picker').checkVisibility()")
        browser.type("[name='branding.accent']", "#ffcc00")
        press(browser, "button[value=preview]")
        browser.shows("Light, not saved yet")
        assert browser.value(_FILL.format("light", "accent")) == "rgb(255, 204, 0)"
    finally:
        browser.scripts(on=True)


def test_the_menu_opens_without_a_script(setup: Setup, browser: Chromium) -> None:
    look(browser, "light", 320)
    console(setup, browser, "")
    assert not browser.value("document.querySelector('.menu a').checkVisibility()")
    browser.press(".menu > summary")
    browser.until("document.querySelector('.menu a').checkVisibility()")
    press(browser, ".menu a[href='/console/usage']")
    assert browser.value("document.querySelector('h1').textContent.trim()") == "Usage"
    browser._call("Emulation.clearDeviceMetricsOverride")
