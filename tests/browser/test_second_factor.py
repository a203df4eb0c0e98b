"""The second step of a sign-in in a browser works without scripts and by keyboard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser import qr_reader
from tests.browser.driver import Chromium
from tests.browser.pages import LOADED, Setup, forget, heading, press, set_up
from tests.browser.step_states import begun, codes, enrolled, password_typed
from tests.support.server import served

pytestmark = pytest.mark.usefixtures("afresh")


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with served(tmp_path_factory.mktemp("server")) as running:
        yield set_up(running)


@pytest.mark.needs("zbarimg")
@pytest.mark.parametrize(("scripts", "width"), [(True, 1280), (False, 320)], ids=["scripts", "no scripts"])
def test_a_user_enrolls_saves_the_codes_and_signs_in_with_one(
    setup: Setup, browser: Chromium, scripts: bool, width: int
) -> None:
    browser.scripts(on=scripts)
    browser._call("Emulation.setDeviceMetricsOverride", width=width, height=720, deviceScaleFactor=1, mobile=False)
    one = begun(setup, browser)
    [read] = qr_reader.read(browser.screenshot())
    assert f"secret={one.secret}" in read
    browser.type("#otp", one.code())
    press(browser)
    assert heading(browser) == "Your recovery codes"
    codes = browser.value("[...document.querySelectorAll('#codes code')].map(each => each.textContent)")
    assert len(codes) == 10
    assert browser.value("document.querySelector('[data-prints]').hidden") is not scripts
    press(browser)
    assert heading(browser) == "Your account"
    forget(browser)
    password_typed(setup, browser, one)
    press(browser, ".ways a")
    browser.type("#recoveryCode", codes[3])
    press(browser)
    assert heading(browser) == "Your account"


@pytest.mark.endurance
def test_the_codes_are_saved_as_a_file(setup: Setup, browser: Chromium) -> None:
    codes(setup, browser)
    browser.value(
        "void (window.saved = new Promise(done => {"
        " URL.createObjectURL = blob => { blob.text().then(done); return '#'; };"
        "}))"
    )
    browser.press("[data-saves]")
    text = browser.value("window.saved")
    shown = browser.value("[...document.querySelectorAll('#codes code')].map(each => each.textContent)")
    assert text.split("\n") == ["Acme", "", *shown, ""]


@pytest.mark.endurance
def test_pages_work_with_only_the_keyboard(setup: Setup, browser: Chromium) -> None:
    one = enrolled(setup)
    password_typed(setup, browser, one)
    browser.until("document.activeElement.id === 'otp'")
    browser._call("Input.insertText", text=one.code())
    browser.key("Tab")
    browser.key("Space")
    assert browser.value("document.activeElement.name") == "trust"
    assert browser.value("document.activeElement.checked")
    browser.value("window.before = true")
    browser.key("Tab")
    browser.key("Enter")
    browser.until(f"!window.before && {LOADED}")
    assert heading(browser) == "Your account"
