"""Error pages for browsers: what happened, what to do, one link to continue, and the request ID."""

from __future__ import annotations

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import msgspec

from manifest_auth import tenants
from manifest_auth.accounts.admins import management as admin_console
from manifest_auth.context import Principal
from manifest_auth.errors import (
    AccountDisabled,
    InvalidToken,
    LicenseExpired,
    LicenseRequired,
    NotFound,
    Refusal,
    TokenExpired,
    Unauthenticated,
)
from manifest_auth.http import Answer, Head, docs_site, identification, refuse
from manifest_auth.http.request import prefers_html
from manifest_auth.pages import brands, languages, rendering, words
from manifest_auth.pages.call import Brand, Link, PageCall, View
from manifest_auth.services import RequestContext
from manifest_auth.store import StoreUnavailable
from manifest_auth.text.languages import catalogue
from manifest_auth.text.languages import marked as _

TEMPLATE = "error.html"
_UNLICENSED = (LicenseExpired, LicenseRequired)


def parameters_of(model: type[msgspec.Struct] | None) -> frozenset[str]:
    """Returns the names of the parameters in an address that the page of a refusal can show."""
    return frozenset(() if model is None else (each.encode_name for each in msgspec.structs.fields(model)))


async def page_of(
    ctx: RequestContext,
    refusal: Refusal,
    head: Head,
    *,
    way: Link | None = None,
    others: tuple[Link, ...] = (),
    title: str = "",
    advice: str = "",
    brand: Brand | None = None,
    parameters: Collection[str] = (),
) -> Answer[None]:
    """Returns the page of a refusal. ``way``: the link to continue, by default the start page, or the installation's
    console if a license is missing; ``title``, ``advice``: replace the usual ones; ``brand``: replaces the brand of the
    signed-in user's client; ``parameters``: names of invalid parameters that the page can show, never the caller's
    text. Also works without the database."""
    brand = await _brand(ctx, refusal, head) if brand is None else brand
    language = language_of(ctx, head, brand)
    await rendering.prepare(TEMPLATE, language)
    t = catalogue(language)
    said = words.sentence_of(refusal, t)
    wait = refusal.retry_after or 0
    if way is None and isinstance(refusal, _UNLICENSED):  # the start page shows the same
        way = Link(admin_console.PATH, t.gettext(words.OPERATOR))
    view = SimpleNamespace(
        title=title or said.title,
        advice=advice or said.advice,
        way=way or Link("/", t.gettext(words.START)),
        others=others,
        retry_after=wait,
        retry_at=ctx.now + wait * 1000 if wait else 0,
        wrong=tuple((name, str(what)) for name, what in refusal.details if name in parameters),  # as programs get it
    )
    call: PageCall[Any] = PageCall(
        head=head, fields=None, path={}, here="/", language=language, form_cookie="", user=None
    )
    return await rendering.render(ctx, call, View(view, template=TEMPLATE, brand=brand), refusal, forms=False)


def language_of(ctx: RequestContext, head: Head, brand: Brand) -> str:
    """Returns the language of a page that no handler creates: the reader's, or the default of the client with the
    page's brand."""
    own = ctx.caller.language if isinstance(ctx.caller, Principal) else None
    return languages.choose(head, ctx.services.settings, own=own) or brand.language


async def _brand(ctx: RequestContext, refusal: Refusal, head: Head) -> Brand:
    """Returns the brand of the client of the signed-in user or of a verified sign-in; otherwise, or without the
    database, the product's."""
    try:
        if isinstance(refusal, AccountDisabled) and refusal.client:
            client = refusal.client
            return brands.of_client(await ctx.services.store.read(lambda unit: tenants.find(unit, client)))
        if isinstance(refusal, _UNLICENSED):  # before anyone was identified
            ctx.caller = await identification.by_cookie(ctx, head, ctx.now)
    except (Unauthenticated, InvalidToken, TokenExpired, StoreUnavailable):
        pass
    return brands.of_user(ctx.caller if isinstance(ctx.caller, Principal) else None)


async def where_no_route_is(ctx: RequestContext, refusal: Refusal, head: Head, path: str) -> Answer[None]:
    """Returns the response for an unknown address: a page for browsers, the envelope for programs."""
    if path.startswith(("/api/", "/oauth2/")) or not prefers_html(head.accept):
        return refuse(refusal, ctx.request_id)
    return await page_of(ctx, refusal, head)


async def page_or_envelope(ctx: RequestContext, refusal: Refusal, head: Head) -> Answer[None]:
    """Returns a page for a browser or the envelope for a program, for addresses that both call."""
    if prefers_html(head.accept):
        return await page_of(ctx, refusal, head)
    return refuse(refusal, ctx.request_id)


async def of_docs_site(ctx: RequestContext, refusal: Refusal, head: Head) -> Answer[None]:
    """Returns a page for a browser, which explains how to build the site if it is missing, or the envelope for a
    program."""
    if docs_site.is_there() or not isinstance(refusal, NotFound) or not prefers_html(head.accept):
        return await page_or_envelope(ctx, refusal, head)
    advice = _("In a copy of the source code, run ./dev docs. The docs folder contains the same pages as text.")
    return await page_of(ctx, refusal, head, title=_("The docs aren't built on this server"), advice=advice)
