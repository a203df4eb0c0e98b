"""A user without a password re-authenticates at their provider, and returns to the page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.browser.driver import Chromium
from tests.browser.pages import LOADED, admin_token, heading, open_, press, send
from tests.support.oidc_op import Op, provider
from tests.support.server import Server, served

pytestmark = pytest.mark.usefixtures("afresh")
FACTOR = "/account/second-factor"


class World(NamedTuple):
    server: Server
    op: Op


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with served(tmp_path_factory.mktemp("server")) as server, provider() as op:
        made = {
            "name": "company", "displayName": "The company", "createUsers": True, "defaultRoles": ["Viewer"],
            "oidc": {"issuer": op.issuer, "clientId": op.client_id, "clientSecret": op.client_secret},
        }  # fmt: skip
        send(server, "/api/admin/clients/acme/providers", made, admin_token(server))
        yield World(server, op)


def _signed_in(world: World, browser: Chromium) -> None:
    """Sign in through the provider, where the person authenticated an hour ago."""
    world.op.claims["auth_time"] = int(time.time()) - 3600
    open_(browser, f"{world.server.base}/sign-in?client=acme&returnTo={FACTOR}")
    press(browser, "a[href*='company']")
    browser.until(f"location.pathname === '{FACTOR}' && {LOADED}")


def _asked(world: World, browser: Chromium) -> None:
    press(browser, f"main form[action='{FACTOR}'] button")
    assert heading(browser) == "Confirm that it's you"


def test_the_provider_reauthenticates_and_the_browser_returns_to_the_page(world: World, browser: Chromium) -> None:
    _signed_in(world, browser)
    _asked(world, browser)
    world.op.claims["auth_time"] = int(time.time())
    browser.press("main .ways button")
    browser.until(f"location.pathname === '{FACTOR}' && {LOADED}")
    press(browser, f"main form[action='{FACTOR}'] button")
    assert heading(browser) == "Set up an authenticator app"


@pytest.mark.endurance
def test_a_provider_that_reuses_an_old_sign_in_does_not_reauthenticate(world: World, browser: Chromium) -> None:
    _signed_in(world, browser)
    _asked(world, browser)
    browser.press("main .ways button")
    browser.until(f"location.pathname.startsWith('/api/') && {LOADED}")
    assert "The company" in str(browser.value("document.querySelector('main').textContent"))
    open_(browser, f"{world.server.base}{FACTOR}")
    _asked(world, browser)
