"""Pages in Chromium use the JavaScript client: by cookie, by tokens, and in six tabs through many expirations."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.driver import Chromium
from tests.sdk_javascript.pages import EMAIL, Place, place
from tests.support.rounds import repeated

pytestmark = [pytest.mark.needs_chromium, pytest.mark.endurance, pytest.mark.timeout(400)]
TABS, EXPIRIES = 6, repeated(50, 6)
REFRESH = "calls['/api/client/auth/refresh'] ?? 0"
#: Forward messages from other tabs 300 milliseconds later.
LATE = """void (window.BroadcastChannel = class extends BroadcastChannel {
  set onmessage(told) { super.onmessage = (message) => setTimeout(told, 300, message); }
})"""
#: Call the server every quarter of a second, at the same time as the other tabs, until told to stop, and record any
#: status other than 200. A page's clock can stand still.
WORK = """void (async () => {
  window.failures = []; window.answers = 0;
  while (!window.enough) {
    try { if ((await client.fetch('/api/client/auth/me')).status === 200) answers += 1; }
    catch (error) { failures.push(String(error.code ?? error)); }
    const now = performance.timeOrigin + performance.now();
    await new Promise((done) => setTimeout(done, 250 - (now % 250) + 20 * Math.random()));
  }
  window.done = true;
})()"""


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory, prefix: Path) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("server"), prefix) as found:
        yield found


@pytest.fixture
def brief(tmp_path: Path, prefix: Path) -> Iterator[Place]:
    """A server with access tokens that live for two seconds."""
    with place(tmp_path, prefix, MANIFEST_ACCESS_TOKEN_TTL="2") as found:
        yield found


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    options = ("--disable-background-timer-throttling", "--disable-renderer-backgrounding")
    with Chromium(tmp_path / "profile", *options) as chromium:
        yield chromium


def further_tab(browser: Chromium, there: Place) -> str:
    tab = browser.new_tab()
    there.open(browser, there.cross_site, "bearer")
    return tab


def refreshes(browser: Chromium, tabs: list[str]) -> int:
    total = 0
    for tab in tabs:
        browser.speak_to(tab)
        total += browser.value(REFRESH)
    return total


@pytest.mark.parametrize("knows", [True, False], ids=["by the clock", "after a 401"])
def test_six_tabs_of_another_site_stay_signed_in(browser: Chromium, brief: Place, knows: bool) -> None:
    """The clock stands still, so only the server knows that a token has expired. ``TOKEN_EXPIRED`` is visible only on a
    machine that is so slow that a new token expires before its use."""
    tabs = []
    for _ in range(TABS):
        tabs.append(further_tab(browser, brief))
        if not knows:
            browser.value("void (now => Date.now = () => now)(Date.now())")
    brief.sign_in(browser)
    for tab in tabs:
        browser.speak_to(tab)
        browser.value(WORK)
    deadline = time.monotonic() + 300
    while refreshes(browser, tabs) < EXPIRIES:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    seen = set()
    for tab in tabs:
        browser.speak_to(tab)
        browser.value("void (window.enough = true)")
        browser.until("window.done")
        assert browser.value("[failures.filter((code) => code !== 'TOKEN_EXPIRED'), ended]") == [[], []]
        assert browser.value("answers") > EXPIRIES
        seen.add(browser.value("client.fetch('/api/client/auth/me').then((answer) => answer.status)"))
    assert seen == {200}


@pytest.mark.parametrize("late", [False, True], ids=["at once", "late messages"])
def test_one_tab_refreshes_for_all(browser: Chromium, there: Place, late: bool) -> None:
    """The clock of all tabs moves past the token's end, and all send requests, but only one tab refreshes. This also
    holds if the lock arrives long before the message about its result."""
    tabs = []
    for _ in range(TABS):
        tabs.append(further_tab(browser, there))
        if late:
            browser.value(LATE)
            given = json.dumps({"baseUrl": there.node.server.base, "mode": "bearer"})
            browser.value(f"void (client.close(), made({given}))")
        browser.value("void (now => { window.days = 0; Date.now = () => now() + days * 86400e3; })(Date.now)")
    there.sign_in(browser)
    for expiry in range(1, 21):
        for step in ("void (days += 1)", "void (window.asked = client.me().then((me) => me.user.email))"):
            for tab in tabs:
                browser.speak_to(tab)
                browser.value(step)
        for tab in tabs:
            browser.speak_to(tab)
            assert browser.value("window.asked") == EMAIL
        assert refreshes(browser, tabs) == expiry


def test_tabs_come_and_go_and_one_signs_out_for_all(browser: Chromium, there: Place) -> None:
    first = further_tab(browser, there)
    there.sign_in(browser)
    second = further_tab(browser, there)
    assert browser.value("client.isSignedIn()") is True  # it asked the first one
    browser.value("client.refresh()")
    browser.speak_to(first)
    there.open(browser, there.cross_site, "bearer")  # reloaded without its memory, but the second tab has the token
    assert browser.value("client.me().then((me) => me.user.email)") == EMAIL
    browser.value("client.signOut()")
    browser.speak_to(second)
    browser.until("ended.length === 1")
    assert browser.value("ended") == [None]
    assert browser.value("client.me().catch((error) => error.code)") == "UNAUTHENTICATED"
    assert browser.value("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    browser.speak_to(first)
    assert browser.value("ended") == []  # it signed out itself


def test_a_page_of_the_same_site_uses_the_cookie_sees_no_token_and_tells_the_other_tabs(
    browser: Chromium, there: Place
) -> None:
    first = browser.new_tab()
    there.open(browser, there.same_site, "cookie")
    told = there.sign_in(browser)
    assert set(told) == {"user"}
    second = browser.new_tab()
    there.open(browser, there.same_site, "cookie")
    assert browser.value("client.me().then((me) => me.session.by)") == "cookie"
    assert browser.value("client.graphql('{ me { email } }').then((data) => data.me.email)") == EMAIL
    browser.value("client.signOut()")
    assert browser.value("client.me().catch((error) => error.code)") in ("UNAUTHENTICATED", "INVALID_TOKEN")
    assert browser.value("ended") == []  # it signed out itself
    browser.speak_to(first)
    browser.until("ended.length === 1")
    assert browser.value("ended") == [None]
    browser.value("client.close()")  # it receives no more messages
    browser.speak_to(second)
    there.sign_in(browser)
    browser.value("client.signOut()")
    browser.speak_to(first)
    assert browser.value("ended") == [None]


def test_a_redirect_to_another_origin_takes_no_token_along(browser: Chromium, there: Place) -> None:
    """The browser removes the header itself when the origin changes, as the Fetch standard has required since 2022."""
    there.open(browser, there.cross_site, "bearer", origins=[there.same_site])
    there.sign_in(browser)

    def echoed(address: str) -> str:
        return str(browser.value(f"client.fetch({json.dumps(address)}).then((answer) => answer.text())"))

    assert echoed(f"{there.same_site}/echo").startswith("Bearer ey")
    assert echoed(f"{there.same_site}/to?/echo").startswith("Bearer ey")
    assert echoed(f"{there.same_site}/to?{there.cross_site}/echo") == "None"
    assert echoed(f"{there.cross_site}/echo") == "None"
