"""Pages that approve a headset show a code that a third-party reader recognizes, and continue automatically."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.browser import qr_reader
from tests.browser.device_states import code_shown, headset, poll
from tests.browser.driver import Chromium
from tests.browser.pages import Setup, forget, set_up
from tests.support.server import served

pytestmark = pytest.mark.needs("zbarimg")

#: Colors or print, and width.
LOOKS = [("light", 1280), ("dark", 1280), ("print", 1280), ("light", 300), ("dark", 300)]


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with served(tmp_path_factory.mktemp("devices")) as running:
        yield set_up(running)


def test_a_reader_finds_the_code_that_a_headset_scans(setup: Setup, browser: Chromium) -> None:
    forget(browser)
    code_shown(setup, browser)
    for look, width in LOOKS:
        browser._call("Emulation.setDeviceMetricsOverride", width=width, height=720, deviceScaleFactor=1, mobile=False)
        browser._call("Emulation.setEmulatedMedia", media="print" if look == "print" else "")
        if look != "print":
            browser.scheme(look)
        [text] = qr_reader.read(browser.screenshot(".qr"))
        assert text.startswith(f"{setup.server.base}/pair#acme.")
    browser._call("Emulation.setEmulatedMedia", media="")
    scanned_at = time.monotonic()
    asked = headset(setup, "/oauth2/pairing", pairing_code=text)
    browser.until("Boolean(document.querySelector('#match'))")
    browser.type("#match", asked["match"])
    browser.press("main form .primary")
    browser.shows("Device approved")
    assert poll(setup, asked["device_code"])["access_token"]
    browser.shows("Device signed in")
    print(f"from the scan to signed in: {time.monotonic() - scanned_at:.1f} s, two digits and one press")
