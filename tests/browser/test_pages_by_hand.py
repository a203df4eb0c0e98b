"""Users without scripts, and users with only a keyboard, can complete every task."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import threading
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.browser.driver import ONE_BY_ONE, Chromium
from tests.browser.pages import AUTHOR, LOADED, Setup, forget, heading, open_, press, send, set_up, sign_in
from tests.support.server import DEMO_PASSWORD, served
from tests.support.user_management import NEW

_numbers = itertools.count(1)


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
    """Keep the scripts setting of the module's browser."""
    forget(browser)


def test_a_user_enters_the_address_first_and_signs_in_and_out(setup: Setup, browser: Chromium) -> None:
    open_(browser, f"{setup.server.base}/")
    browser.type("#email", AUTHOR)
    press(browser)
    browser.type("#password", "wrong")
    press(browser)
    browser.until("document.activeElement.getAttribute('role') === 'alert'")  # focused without a script
    assert browser.value("document.querySelector('#email').value") == AUTHOR
    browser.type("#password", DEMO_PASSWORD)
    press(browser)
    assert heading(browser) == "Your account"
    browser.shows(AUTHOR)
    press(browser, ".bar button")
    assert heading(browser) == "You're signed out"
    open_(browser, f"{setup.server.base}/account")
    assert heading(browser) == "Sign in"


@pytest.mark.endurance
def test_a_user_returns_to_the_requested_page(setup: Setup, browser: Chromium) -> None:
    open_(browser, f"{setup.server.base}/account?x=1")
    browser.type("#email", AUTHOR)
    press(browser)
    browser.type("#password", DEMO_PASSWORD)
    press(browser)
    assert browser.value("location.pathname + location.search") == "/account?x=1"


@pytest.mark.endurance
def test_a_user_chooses_a_password_with_the_emailed_code(setup: Setup, browser: Chromium) -> None:
    link = setup.invite(f"by-hand-{next(_numbers)}@acme.example")
    open_(browser, link.partition("#")[0])
    browser.type("#token", link.partition("#")[2])
    press(browser)
    browser.type("#password", "short")
    press(browser)
    browser.shows("Must have at least 15 characters")
    browser.type("#password", NEW)
    press(browser)
    assert heading(browser) == "Your account"


@pytest.mark.endurance
def test_a_user_requests_a_new_password(setup: Setup, browser: Chromium) -> None:
    open_(browser, f"{setup.server.base}/sign-in?client=acme")
    press(browser, ".links a")
    assert heading(browser) == "Forgot your password?"
    browser.shows("This server doesn't send emails")


@pytest.mark.endurance
def test_a_user_changes_the_language_and_continues(setup: Setup, browser: Chromium) -> None:
    open_(browser, f"{setup.server.base}/sign-in?client=acme&loginHint={AUTHOR}")
    press(browser, "button[value=de]")
    assert heading(browser) == "Bei Acme Corporation anmelden"
    assert browser.value("document.querySelector('#email').value") == AUTHOR
    browser.type("#password", DEMO_PASSWORD)
    press(browser)
    assert heading(browser) == "Ihr Konto"


def test_pages_work_with_only_the_keyboard(setup: Setup, browser: Chromium) -> None:
    open_(browser, f"{setup.server.base}/sign-in?client=acme")
    browser.until("document.activeElement.id === 'email'")  # it has the initial focus
    browser.key("Tab", shift=True)
    assert browser.value("document.activeElement.className") == "skip"
    assert browser.value("getComputedStyle(document.activeElement).outlineWidth") == "3px"
    for text, field in ((AUTHOR, "email"), (DEMO_PASSWORD, "password")):
        while browser.value("document.activeElement.id") != field:
            browser.key("Tab")
        browser._call("Input.insertText", text=text)
    browser.value("window.before = true")
    browser.key("Enter")
    browser.until(f"!window.before && {LOADED}")
    assert heading(browser) == "Your account"
    while browser.value("document.activeElement.textContent") != "Sign out":
        browser.key("Tab")
    browser.value("window.before = true")
    browser.key("Space")
    browser.until(f"!window.before && {LOADED}")
    assert heading(browser) == "You're signed out"


@contextlib.contextmanager
def application() -> Iterator[tuple[str, list[str]]]:
    """An application at another origin that redirects to a third one."""
    seen: list[str] = []

    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Host"] + self.path)
            if self.path == "/in":
                self.send_response(302)
                self.send_header("Location", f"http://localhost:{port}/third")
            else:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
            self.end_headers()
            if self.path != "/in":
                self.wfile.write(b"<title>x</title><h1>The application</h1>")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as listening:
        port = listening.server_port
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{port}/in", seen
        listening.shutdown()


@pytest.mark.endurance
def test_a_sign_in_ends_at_another_origin_that_redirects_to_a_third(setup: Setup, browser: Chromium) -> None:
    """Browsers apply ``form-action`` to every redirect after a form, and the page in between makes it work."""
    with application() as (address, seen):
        admin = send(setup.server, "/api/admin/auth/sign-in", {"username": "admin", "password": DEMO_PASSWORD})
        settings = {"settings": {"returnAddresses": [address]}}
        send(setup.server, "/api/admin/clients/acme", settings, admin["data"]["token"], "PATCH")
        try:
            open_(browser, f"{setup.server.base}/sign-in?client=acme&returnTo={quote(address, safe='')}")
            browser.type("#email", AUTHOR)
            browser.type("#password", DEMO_PASSWORD)
            press(browser)
            browser.shows("The application")
            assert [one.partition("/")[2] for one in seen[:2]] == ["in", "third"]
        finally:
            settings = {"settings": {"returnAddresses": []}}
            send(setup.server, "/api/admin/clients/acme", settings, admin["data"]["token"], "PATCH")


def test_only_the_servers_own_scripts_run(setup: Setup, browser: Chromium) -> None:
    """The policy and Trusted Types work in a real browser."""
    sign_in(setup, browser)
    browser.complaints.clear()
    probe = """(() => { const done = [];
      const script = document.createElement("script");
      try { script.textContent = "window.evil = 1"; document.body.append(script); } catch (error) { done.push("text"); }
      try { document.body.innerHTML = "<img src=x onerror='window.evil = 2'>"; } catch (error) { done.push("html"); }
      try { setTimeout("window.evil = 3"); } catch (error) { done.push("timer"); }
      try { document.body.setAttribute("onclick", "window.evil = 4"); document.body.click(); }
      catch (error) { done.push("on"); }
      return [done, window.evil ?? null]; })()"""
    done, evil = browser.value(probe)
    assert evil is None
    assert {"text", "html"} <= set(done)
