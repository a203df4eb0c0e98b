"""Stylesheet, modules and icon, with addresses that depend on their content, so that browsers cache them indefinitely.

They are read, hashed and compressed once, with the first page or the first request for one.
"""

from __future__ import annotations

import asyncio
import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from manifest_auth.errors import NotFound
from manifest_auth.http import Access, Answer, Call, Head, Route
from manifest_auth.http.answers import Document
from manifest_auth.services import RequestContext

FOLDER = Path(__file__).parent / "assets"
_TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
_FOR_GOOD = b"public, max-age=31536000, immutable"
#: Two releases can run side by side for a while, and a page of one might request files from the other.
_SHORTLY = b"public, max-age=60"
ICON = "icon.svg"


class Asset(NamedTuple):
    kind: bytes
    document: Document
    digest: str


@cache
def all_assets() -> dict[str, Asset]:
    """Returns all assets, by file name."""
    found = {}
    for path in sorted(FOLDER.iterdir()):
        if path.suffix in _TYPES:
            body = path.read_bytes()
            found[path.name] = Asset(_TYPES[path.suffix], Document.of(body), hashlib.sha256(body).hexdigest()[:16])
    return found


def address(name: str) -> str:
    """Returns the path of a file by its name."""
    stem, _, ending = name.rpartition(".")
    return f"/assets/{stem}.{all_assets()[name].digest}.{ending}"


def _answer(head: Head, asset: Asset, caching: bytes) -> Answer[None]:
    return asset.document.answer(head, ((b"content-type", asset.kind), (b"cache-control", caching)))


async def _asset(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    stem, _, rest = call.path["name"].partition(".")
    digest, _, ending = rest.partition(".")
    found = (await asyncio.to_thread(all_assets)).get(f"{stem}.{ending}")
    if found is None:
        raise NotFound()
    return _answer(call.head, found, _FOR_GOOD if digest == found.digest else _SHORTLY)


async def _favicon(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    return _answer(call.head, (await asyncio.to_thread(all_assets))[ICON], b"public, max-age=86400")


async def _robots(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    body = b"User-agent: *\nDisallow: /\n"
    return Answer(200, body, ((b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"max-age=86400")))


ROUTES = (
    Route("GET", "/assets/{name}", _asset, Access.PAGE, "A stylesheet, module, or picture of the pages"),
    Route("GET", "/favicon.ico", _favicon, Access.PAGE, "The icon"),
    Route("GET", "/robots.txt", _robots, Access.PAGE, "Tells search engines not to index the pages"),
)
