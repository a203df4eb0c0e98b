"""The API's description: the OpenAPI document, the page and the Power Apps connector that are made from it.

Each is made when it is asked for first, in a thread: many processes never show one, and each takes some megabytes and a
tenth of a second.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from functools import partial

import orjson

from manifest_auth.http import Access, Answer, Call, Header, Route, docs_site
from manifest_auth.http.answers import Document
from manifest_auth.protocols.microsoft import Cloud
from manifest_auth.services import RequestContext

_JSON: Header = (b"content-type", b"application/json; charset=utf-8")
_HTML: Header = (b"content-type", b"text/html; charset=utf-8")
_CACHED: Header = (b"cache-control", b"public, max-age=300")


class _Descriptions:
    """What was made already, by what it depends on."""

    def __init__(self) -> None:
        self.routes: Sequence[Route] = ()
        self._made: dict[tuple[object, ...], Document] = {}
        self._lock = threading.Lock()

    async def get(self, key: tuple[object, ...], make: Callable[[Sequence[Route]], bytes]) -> Document:
        found = self._made.get(key)
        return found if found is not None else await asyncio.to_thread(self._make, key, make)

    def _make(self, key: tuple[object, ...], make: Callable[[Sequence[Route]], bytes]) -> Document:
        with self._lock:  # of many first callers one makes it
            if key not in self._made:
                self._made[key] = Document.of(make(self.routes))
            return self._made[key]


_descriptions = _Descriptions()


def describe(routes: Sequence[Route]) -> None:
    """Tells which routes are described."""
    _descriptions.routes = routes


def _document(routes: Sequence[Route]) -> bytes:
    from manifest_auth.http import openapi

    return orjson.dumps(openapi.build(routes))


def _page(site: str, routes: Sequence[Route]) -> bytes:
    from manifest_auth.http import docs_page, openapi

    return docs_page.render(openapi.build(routes), site).encode()


def _power_apps(public_url: str, cloud: Cloud, routes: Sequence[Route]) -> bytes:
    from manifest_auth.api import power_apps_connector

    return orjson.dumps(power_apps_connector.build(routes, public_url, cloud))


async def _openapi(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    return (await _descriptions.get(("openapi",), _document)).answer(call.head, (_JSON, _CACHED))


async def _connector(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    about = (ctx.services.settings.public_url, ctx.services.microsoft.clouds.get(""))
    found = await _descriptions.get(("connector", *about), partial(_power_apps, *about))
    return found.answer(call.head, (_JSON, _CACHED))


async def _docs(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    site = docs_site.PATH if docs_site.is_there() else ""
    found = await _descriptions.get(("docs", site), partial(_page, site))
    from manifest_auth.http.docs_page import POLICY

    return found.answer(call.head, (_HTML, _CACHED), POLICY)


_SENDS = ("application/json",)
ROUTES = (
    Route("GET", "/openapi.json", _openapi, Access.OPEN, "This description", sends=_SENDS),
    Route(
        "GET",
        "/power-apps.json",
        _connector,
        Access.OPEN,
        "Power Apps custom connector, OpenAPI 2.0, to be imported",
        sends=_SENDS,
        operation="getPowerAppsConnector",
    ),
    Route("GET", "/docs", _docs, Access.OPEN, "This description as a page", sends=("text/html",)),
)
