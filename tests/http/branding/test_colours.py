"""A client's color is served as a stylesheet of custom properties, together with its display name."""

from __future__ import annotations

import re

import pytest

from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.people import own_client

pytestmark = pytest.mark.one_store

BRANDING = "/api/client/branding"


async def test_without_a_color_there_is_no_stylesheet(app: App) -> None:
    own = await own_client(app)
    shown = check_success(await app.get(BRANDING, token=own.client_admin.token))
    assert shown == {"name": own.identifier, "logo": None, "width": 0, "height": 0, "stylesheet": None}
    reply = await app.get(f"/assets/brand/{own.identifier}/0123456789abcdef.css")
    check_refusal(reply, 404, "NOT_FOUND")


async def test_the_stylesheet_has_the_colors_of_both_schemes(app: App) -> None:
    own = await own_client(app)
    await own.changed(own.clerk, branding={"accent": "#ffe600", "name": "Acme & Co"})
    shown = check_success(await app.get(BRANDING, token=own.client_admin.token))
    assert shown["name"] == "Acme & Co"
    assert re.fullmatch(rf"/assets/brand/{own.identifier}/[0-9a-f]{{16}}\.css", shown["stylesheet"])
    reply = await app.client.get(shown["stylesheet"])
    light, dark = reply.text.splitlines()
    assert re.fullmatch(r":root\{--accent:#ffe600;--on-accent:#000000;--away:#ffffff;--link:#[0-9a-f]{6}\}", light)
    assert dark == "@media (prefers-color-scheme:dark){:root{--link:#ffe600}}"
    assert reply.headers["content-type"] == "text/css; charset=utf-8"
    assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert reply.headers["x-content-type-options"] == "nosniff"


async def test_a_new_color_has_a_new_address_and_the_old_one_leads_to_it_for_a_minute(app: App) -> None:
    own = await own_client(app)
    addresses = []
    for accent in ("#112233", "#aabbcc"):
        await own.changed(own.client_admin, branding={"accent": accent})
        addresses.append((await app.get(BRANDING, token=own.client_admin.token)).data["stylesheet"])
    old, new = [await app.client.get(address) for address in addresses]
    assert addresses[0] != addresses[1]
    assert old.text == new.text
    assert old.headers["cache-control"] == "public, max-age=60"
