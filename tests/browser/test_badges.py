"""A third-party reader recognizes a badge and a device's code on screen and in print."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

import pytest

from tests.browser import qr_reader
from tests.browser.console_states import STATES, Setup, running
from tests.browser.driver import Chromium
from tests.browser.pages import send

pytestmark = pytest.mark.needs("zbarimg")

#: Colors or print, and width.
LOOKS = [("light", 1280), ("dark", 1280), ("print", 1280), ("light", 300), ("dark", 300)]


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    with running(tmp_path_factory.mktemp("badges")) as made:
        yield made


def read_in_every_look(browser: Chromium) -> str:
    """The text of the only code on the page, which is the same in every look."""
    found = set()
    for look, width in LOOKS:
        browser._call("Emulation.setDeviceMetricsOverride", width=width, height=720, deviceScaleFactor=1, mobile=False)
        browser._call("Emulation.setEmulatedMedia", media="print" if look == "print" else "")
        if look != "print":
            browser.scheme(look)
        [text] = qr_reader.read(browser.screenshot(".qr"))
        found.add(text)
    [text] = found
    return text


@pytest.mark.endurance
def test_a_printed_badge_signs_in_on_an_enrolled_device(setup: Setup, browser: Chromium) -> None:
    STATES["POST /console/devices code"](setup, browser)
    browser._call("Emulation.setEmulatedMedia", media="")
    code = read_in_every_look(browser)
    letters = str(browser.value("document.querySelector('#letters').textContent"))
    assert re.fullmatch("[B-Z]{5}-[B-Z]{5}", letters)
    device = send(setup.server, "/api/client/auth/devices/enrol", {"code": code})["data"]
    browser._call("Emulation.setEmulatedMedia", media="")
    STATES["POST /console/users/{id}/badge PIN"](setup, browser)
    pin = str(browser.value("document.querySelector('#pin-once').textContent"))
    STATES["POST /console/users/{id}/badge"](setup, browser)
    badge = read_in_every_look(browser)
    assert badge.startswith("MB1:acme:")
    browser._call("Emulation.setEmulatedMedia", media="print")
    assert "Grace" not in str(browser.value("document.querySelector('main').innerText"))
    assert not browser.value("document.querySelector('.menu').getClientRects().length")
    sheet = base64.b64decode(browser._call("Page.printToPDF")["data"])
    assert sheet.count(b"/Type /Page\n") == 1
    browser._call("Emulation.setEmulatedMedia", media="")
    body = {"deviceToken": device["deviceToken"], "badge": badge, "pin": pin, "newPin": "482915"}
    assert send(setup.server, "/api/client/auth/badge", body)["data"]["user"]["roles"] == ["Operator"]
