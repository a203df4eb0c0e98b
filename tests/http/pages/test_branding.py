"""A client's colors and logo are on every page with a known client."""

from __future__ import annotations

import pytest

from tests.support.accounts import settle
from tests.support.application import PASSWORD, App
from tests.support.faults import logos_cannot_be_read, store_is_gone
from tests.support.matrix import matrix
from tests.support.pictures import Picture
from tests.support.visitor import Page, Visitor

pytestmark = pytest.mark.one_store

ADMIN = "admin@acme.example"


@pytest.fixture(autouse=True)
async def looks(app: App) -> None:
    await settle(app, "acme", branding={"name": "Acme & Söhne", "accent": "#ffcc00"})
    token = (await app.sign_in(ADMIN, PASSWORD)).data["token"]
    logo = {"Content-Type": "image/png"}
    content = Picture(width=60, height=20).encoded()
    reply = await app.send("PUT", "/api/client/branding/logo", token=token, headers=logo, content=content)
    assert reply.status == 200, reply.text


async def check(visitor: Visitor, page: Page, *, logo: bool = True) -> None:
    """Check that the page has the client's name, colors, and logo, and that their files exist."""
    assert page.title.endswith("· Acme & Söhne")
    assert page.tree.xpath("//header//img[@class='logo']/@alt") == (["Acme & Söhne"] if logo else [])
    shown = page.tree.xpath("//link[@rel='stylesheet']/@href | //header//img[@class='logo']/@src")
    own = [address for address in shown if address.startswith("/assets/brand/acme/")]
    assert len(own) == (2 if logo else 1)
    for address in own:
        assert "immutable" in (await visitor.get(address)).reply.headers["cache-control"]


@matrix("path", ["/sign-in?client=acme", "/sign-in?client=acme&loginHint=ada@acme.example"])
async def test_on_the_way_in(app: App, path: str) -> None:
    visitor = Visitor(app)
    page = await visitor.get(path)
    await check(visitor, page)
    refused = await visitor.submit(page, "/sign-in/password", email=ADMIN, password="wrong")
    assert refused.status == 401
    await check(visitor, refused)
    await check(visitor, await visitor.get(page.links()["Forgot your password?"]))


@matrix("path", ["/account", "/console", "/console/rules", "/sign-out", "/sign-in", "/console/users/0"])
async def test_where_someone_is_signed_in(app: App, path: str) -> None:
    visitor = await Visitor(app).signed_in(ADMIN)
    await check(visitor, await visitor.get(path))


async def test_a_page_of_no_client_has_the_looks_of_none(app: App) -> None:
    page = await Visitor(app).get("/sign-in")
    assert "/assets/brand/" not in page.reply.text
    assert page.title.endswith("· Manifest")


async def test_without_the_store_the_name_stands_for_the_logo(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = await Visitor(app).signed_in(ADMIN)
    page = await visitor.get("/sign-out")
    store_is_gone(monkeypatch, app, "gone")
    logos_cannot_be_read(monkeypatch)
    refused = await visitor.submit(page, "/sign-out")
    assert refused.status == 503
    await check(visitor, refused, logo=False)
