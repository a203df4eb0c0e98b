"""The cost of each page for a browser: requests, and bytes as compressed by a proxy."""

from __future__ import annotations

import gzip
import re

import pytest

from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.routes import PAGES, Route, filled
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

SHOWN = [route for route in PAGES if route.method == "GET" and route.template]
LANGUAGES = ("en", "es", "pt", "de", "fr", "ja")
KB = 1000
_ASSET = re.compile(r"/assets/[a-z-]+\.[0-9a-f]{16}\.(css|js|svg)")


async def visitor_for(app: App, language: str) -> Visitor:
    """An Admin with data to show, and a system admin, in one browser."""
    visitor = await (await Visitor(app).signed_in("admin@acme.example")).system_admin()
    visitor.cookies["lang"] = language
    return visitor


def loaded_by(page: Page) -> set[str]:
    """The URLs of stylesheets, modules, and icon, without a client's logo."""
    return {found[0] for found in _ASSET.finditer(page.reply.text)}


async def size(app: App, page: Page, sizes: dict[str, int]) -> int:
    """Compressed bytes of a page with its stylesheets and modules."""
    for address in loaded_by(page) - sizes.keys():
        sizes[address] = len(gzip.compress((await app.client.get(address)).content))
    return len(gzip.compress(page.reply.text.encode())) + sum(sizes[address] for address in loaded_by(page))


async def check(app: App, page: Page, most: int) -> None:
    assert await size(app, page, {}) <= most
    loaded = loaded_by(page)
    assert loaded
    assert 1 + len(loaded) + len(page.tree.xpath("//img")) <= 7
    for address in loaded:  # so that the next page is a single request
        assert "immutable" in (await app.client.get(address)).headers["cache-control"]


@matrix("language", LANGUAGES)
async def test_the_sign_in_page_has_20_kb(app: App, language: str) -> None:
    for address in ("/sign-in", "/sign-in?client=acme"):
        await check(app, await Visitor(app, {"lang": language}).get(address), 20 * KB)


@matrix("route", SHOWN)
async def test_a_page_has_30_kb_and_7_requests(app: App, route: Route) -> None:
    visitor = await visitor_for(app, "en")
    path = filled(route.path, client="acme", id=app.ids.get("admin@acme.example", 1))
    await check(app, await visitor.follow(await visitor.get(path)), 30 * KB)


async def test_so_it_has_in_every_language(app: App) -> None:
    sizes: dict[str, int] = {}
    for language in LANGUAGES:
        visitor = await visitor_for(app, language)
        for route in SHOWN:
            page = await visitor.follow(await visitor.get(filled(route.path, client="acme")))
            assert await size(app, page, sizes) <= 30 * KB, (language, route.path)
