"""``/installation/health``: what ``doctor`` finds, each with what to do."""

from __future__ import annotations

import asyncio
from importlib import import_module

import msgspec

from manifest_auth.errors import Overloaded
from manifest_auth.http import Answer
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.installation import frame
from manifest_auth.pages.routing import Audience, page
from manifest_auth.services import RequestContext

PATH = f"{frame.OVERVIEW}/health"
_SEALED_S = 5.0  # a person waits for it; the command line takes more
_looking: set[int] = set()  # the one look of this process that is under way


class Line(msgspec.Struct, frozen=True):
    """``level``: ``ok``, ``note`` or ``bad``; ``area``: what it is about, in a word or two."""

    level: str
    area: str
    text: str


class HealthView(msgspec.Struct, frozen=True):
    """``to_read``: what is wrong, and notes; ``well``: the rest."""

    to_read: tuple[Line, ...]
    well: tuple[Line, ...]
    bad: int
    notes: int


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    if _looking:
        raise Overloaded(retry_after=5, reason="another look is under way")
    _looking.add(1)
    try:
        lines = [_line(level, text) for level, text in await _findings(ctx)]
    finally:
        _looking.clear()
    bad, notes, well = (tuple(one for one in lines if one.level == level) for level in ("bad", "note", "ok"))
    return View(HealthView((*bad, *notes), well, len(bad), len(notes)))


async def _findings(ctx: RequestContext) -> list[tuple[str, str]]:
    await asyncio.to_thread(import_module, "manifest_auth.operations.doctor")
    from manifest_auth.operations.doctor import examine

    return [(one.level, one.text) async for one in examine(ctx.services.settings, sealed_s=_SEALED_S)]


def _line(level: str, text: str) -> Line:
    area, _, rest = text.partition(": ")
    return Line(level, frame.sentence(area), frame.sentence(rest))


ROUTES = (
    page("GET", PATH, _show, "installation/health.html", "What is wrong with this server, and what to do",
         audience=Audience.SYSTEM_ADMIN, english=True),
)  # fmt: skip
