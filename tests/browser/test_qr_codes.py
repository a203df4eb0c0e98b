"""A third-party reader finds QR codes on a browser's screen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser import qr_reader
from tests.browser.driver import Chromium
from tests.browser.installation_states import STATES
from tests.browser.pages import Setup, forget, set_up
from tests.support.matrix import matrix
from tests.support.server import served

pytestmark = pytest.mark.needs("zbarimg")

LOOKS = [
    ("light", 1280), ("dark", 320),
    *(pytest.param(*look, marks=pytest.mark.endurance) for look in (("light", 320), ("dark", 1280))),
]  # fmt: skip
BEGIN = STATES["POST /installation/account begun"]


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with served(tmp_path_factory.mktemp("server")) as running:
        yield set_up(running)


@matrix(("scheme", "width"), LOOKS)
def test_a_reader_finds_the_key_of_a_second_factor(setup: Setup, browser: Chromium, scheme: str, width: int) -> None:
    forget(browser)
    browser._call("Emulation.setDeviceMetricsOverride", width=width, height=720, deviceScaleFactor=1, mobile=False)
    browser.scheme(scheme)
    BEGIN(setup, browser)
    browser.shows("Scan this code")
    shown = browser.value("document.querySelector('a[href^=\"otpauth:\"]').getAttribute('href')")
    assert shown.startswith("otpauth://totp/")
    for element in (".qr", "html"):  # the code with only its quiet zone, and as part of a page
        assert qr_reader.read(browser.screenshot(element)) == [shown]
    size, modules = browser.value(
        "(qr => [qr.getBoundingClientRect().width, qr.querySelector('path').getBBox().width])"
        "(document.querySelector('.qr'))"
    )
    assert size >= 6 * modules
    assert browser.value("document.querySelector('.qr title').textContent") == (
        "QR code with the key for your authenticator app"
    )
    assert not browser.value("document.documentElement.scrollWidth > document.documentElement.clientWidth")
