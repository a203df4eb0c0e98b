"""Stylesheets, scripts, and icons of the pages have names with a hash, so that browsers can cache them forever."""

from __future__ import annotations

import gzip
import hashlib
import re

import pytest

from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.visitor import Visitor

pytestmark = pytest.mark.one_store

_ADDRESS = re.compile(r"/assets/([a-z-]+)\.([0-9a-f]{16})\.(css|js|svg)")


async def addresses(app: App) -> list[str]:
    page = await (await Visitor(app).signed_in()).get("/account")
    return sorted({found[0] for found in re.finditer(_ADDRESS, page.reply.text)})


async def test_the_name_says_what_is_in_it_and_it_is_kept_for_good(app: App) -> None:
    found = await addresses(app)
    assert {address.rpartition(".")[2] for address in found} == {"css", "js", "svg"}
    for address in found:
        raw = await app.client.get(address, headers={"Accept-Encoding": "identity"})
        assert raw.status_code == 200
        assert hashlib.sha256(raw.content).hexdigest()[:16] == _ADDRESS.fullmatch(address)[2]  # type: ignore[index]
        assert raw.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert raw.headers["vary"] == "Accept-Encoding"
        assert raw.headers["x-content-type-options"] == "nosniff"
        assert "content-encoding" not in raw.headers


async def test_it_is_compressed_for_those_who_take_that(app: App) -> None:
    for address in (*await addresses(app), "/openapi.json", "/docs/api", "/power-apps.json"):
        async with app.client.stream("GET", address, headers={"Accept-Encoding": "br;q=1, gzip;q=0.5"}) as answer:
            small = b"".join([part async for part in answer.aiter_raw()])
        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(small) == (await app.client.get(address)).content
        for accepts in ("gzip;q=0", "br", ""):
            assert (
                "content-encoding" not in (await app.client.get(address, headers={"Accept-Encoding": accepts})).headers
            )


@matrix("digest", ["0" * 16, "x", "0000"])
async def test_another_release_gets_the_file_for_a_while(app: App, digest: str) -> None:
    answer = await app.get(f"/assets/app.{digest}.css")
    assert (answer.status, answer.headers["cache-control"]) == (200, "public, max-age=60")


@matrix(
    "path",
    ["/assets/nothing.0.css", "/assets/app.css", "/assets/app.0.js", "/assets/", "/assets/app.0.css/",
     "/assets/app.0.css.gz", "/assets/.0.css", "/assets/__init__.0.py"],
)  # fmt: skip
async def test_nothing_else_is_there(app: App, path: str) -> None:
    assert (await app.get(path)).status == 404


async def test_the_icon_is_where_browsers_look_for_it(app: App) -> None:
    answer = await app.get("/favicon.ico")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/svg+xml")
