"""The docs as a site at ``/docs/``, where the program has it: ``./dev docs`` builds it into ``api/site``.

A request names a file of the list that was made with the site, or it is refused: no path of a request reaches the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache, lru_cache
from pathlib import Path

import msgspec

from manifest_auth.errors import NotFound, Refusal
from manifest_auth.http import Access, Answer, Call, Head, Header, Route
from manifest_auth.http.answers import VARY_ENCODING, Document
from manifest_auth.services import RequestContext

FOLDER = Path(__file__).parents[1] / "api" / "site"
PATH = "/docs/"
START = "index.html"
#: Folders within folders that a file of the site may lie in.
_DEPTH = 4
_CACHING: Header = (b"cache-control", b"public, max-age=300")
_TYPES = {
    "css": b"text/css; charset=utf-8",
    "html": b"text/html; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "json": b"application/json; charset=utf-8",
    "png": b"image/png",
    "svg": b"image/svg+xml",
}


class _Site(msgspec.Struct, frozen=True):
    """``policy``: content security policy of the pages; ``files``: by name, the digest of each."""

    policy: str = ""
    files: dict[str, str] = {}


def _site() -> _Site:
    """Return the site as it was built last, so that a server which runs has it at once; without files if it was not."""
    path = FOLDER / "site.json"
    try:
        return _built(path, path.stat().st_mtime_ns)
    except OSError:
        return _Site()


@lru_cache(maxsize=1)
def _built(path: Path, changed: int) -> _Site:
    _file.cache_clear()
    return msgspec.json.decode(path.read_bytes(), type=_Site)


@cache
def _file(path: Path) -> Document:
    return Document.of(path.read_bytes())


def is_there() -> bool:
    """Whether the program carries the site."""
    return START in _site().files


async def _show(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    site = _site()
    name = "/".join(call.path.values()) or START
    digest, kind = site.files.get(name), _TYPES.get(name.rpartition(".")[2])
    if digest is None or kind is None:
        raise NotFound()
    tag = f'"{digest}"'
    headers: tuple[Header, ...] = ((b"etag", tag.encode()), _CACHING)
    if tag in call.head.line(b"if-none-match"):
        return Answer(304, b"", (*headers, VARY_ENCODING))
    found = await asyncio.to_thread(_file, FOLDER / name)
    return found.answer(call.head, ((b"content-type", kind), *headers), site.policy)


def routes(refused: Callable[[RequestContext, Refusal, Head], Awaitable[Answer[None]]]) -> tuple[Route, ...]:
    """``refused``: answers a refusal, with a page or the envelope."""
    paths = (PATH, *(PATH + "/".join(f"{{part{number}}}" for number in range(depth)) for depth in range(1, _DEPTH + 1)))
    return tuple(Route("GET", path, _show, Access.PAGE, "The docs as a site", refused=refused) for path in paths)
