"""Refusals as pages, where a browser asks: what happened, what to do, one way on, and the number to tell."""

from __future__ import annotations

from typing import Any

import msgspec

from manifest_auth.errors import Refusal
from manifest_auth.http import Answer, Head, refuse
from manifest_auth.http.accept import prefers_html
from manifest_auth.pages import languages, rendering, words
from manifest_auth.pages.call import PRODUCT, Brand, PageCall, View
from manifest_auth.services import RequestContext

TEMPLATE = "error.html"


class Way(msgspec.Struct, frozen=True):
    """A link. ``text``: in the reader's language."""

    href: str
    text: str


class ErrorView(msgspec.Struct, frozen=True):
    """``retry_at``: milliseconds, 0 for none; ``others``: ways on beside the first."""

    title: str
    advice: str
    way: Way
    others: tuple[Way, ...] = ()
    retry_after: int = 0
    retry_at: int = 0


async def page_of(
    ctx: RequestContext,
    refusal: Refusal,
    head: Head,
    *,
    english: bool = False,
    way: Way | None = None,
    others: tuple[Way, ...] = (),
    title: str = "",
    brand: Brand = PRODUCT,
) -> Answer[None]:
    """The page of a refusal. ``way``: where to go from it, the start page if nothing is said; ``title``: in place of
    the usual one. Asks the store for nothing: it must show when that is gone."""
    language = "en" if english else languages.choose(head, ctx.services.settings)
    await rendering.prepare(TEMPLATE, language)
    t = languages.catalogue(language)
    said = words.sentence_of(refusal, t)
    wait = refusal.retry_after or 0
    view = ErrorView(
        title=title or said.title,
        advice=said.advice,
        way=way or Way("/", t.gettext(words.START)),
        others=others,
        retry_after=wait,
        retry_at=ctx.now + wait * 1000 if wait else 0,
    )
    call: PageCall[Any] = PageCall(
        head=head, fields=None, path={}, here="/", language=language, form_cookie="", user=None
    )
    return await rendering.render(ctx, call, View(view, template=TEMPLATE, brand=brand), refusal, forms=False)


async def where_no_route_is(ctx: RequestContext, refusal: Refusal, head: Head, path: str) -> Answer[None]:
    """The answer to an address that nothing serves: a page where a browser asks, the envelope for programs."""
    if path.startswith(("/api/", "/oauth2/")) or not prefers_html(head.accept):
        return refuse(refusal, ctx.request_id)
    return await page_of(ctx, refusal, head)


async def page_or_envelope(ctx: RequestContext, refusal: Refusal, head: Head) -> Answer[None]:
    """For addresses that browsers and programs both call."""
    if prefers_html(head.accept):
        return await page_of(ctx, refusal, head)
    return refuse(refusal, ctx.request_id)
