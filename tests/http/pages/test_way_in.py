"""A caller who posts a form without a session must sign in first, and then returns to the page with the form."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.routes import PAGES, Route, filled
from tests.support.visitor import Visitor

pytestmark = pytest.mark.one_store

SHOWN = {filled(route.path) for route in PAGES if route.method == "GET"}
POSTS = [route for route in PAGES if route.method == "POST" and route.audience != "everyone"]


@matrix("route", POSTS)
async def test_after_the_sign_in_comes_a_page_that_can_be_shown(app: App, route: Route) -> None:
    page = await Visitor(app).post(filled(route.path), {"form": "x"})
    place = urlsplit(page.location)
    assert (page.status, place.path in ("/sign-in", "/installation/sign-in")) == (303, True)
    [there] = parse_qs(place.query)["returnTo"]
    assert urlsplit(there).path in SHOWN
    assert (await Visitor(app).get(page.location)).status == 200


async def test_the_button_of_a_step_leads_back_to_the_step(app: App) -> None:
    for act, shown in (("theirs", "?step=theirs"), ("rules", "?step=rules"), ("test", "?step=live"),
                       ("rotate-key", "?step=theirs"), ("switch-on", ""), ("switch-off", "")):  # fmt: skip
        page = await Visitor(app).post(f"/console/providers/okta/{act}", {"form": "x"})
        assert parse_qs(urlsplit(page.location).query)["returnTo"] == [f"/console/providers/okta{shown}"]
