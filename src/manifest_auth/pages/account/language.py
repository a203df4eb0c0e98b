"""``/account/language``: of one's pages and e-mails, in every browser."""

from __future__ import annotations

from typing import Literal

import msgspec

from manifest_auth.accounts import profile, users
from manifest_auth.accounts.profile import ProfileChange
from manifest_auth.http import Answer
from manifest_auth.pages import languages, said
from manifest_auth.pages.account.frame import AccountView, just_done, shown
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.routing import Audience, page
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.text.languages import Language

PATH = "/account/language"
TEMPLATE = "account/language.html"


class LanguageForm(msgspec.Struct, frozen=True):
    """``language``: empty for what the browser asks for."""

    language: Language | Literal[""] = ""


class LanguageView(AccountView, frozen=True, kw_only=True):
    language: str


async def _form(ctx: RequestContext, done: str = "") -> View:
    def work(unit: TenantUnit) -> LanguageView:
        return LanguageView(said=done, language=users.get(unit, ctx.user.user_id).language or "")

    return await shown(ctx, work)


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await _form(ctx, just_done(ctx, call))


async def _again(ctx: RequestContext, call: PageCall[LanguageForm]) -> View | Answer[None]:
    return await _form(ctx)


async def _save(ctx: RequestContext, call: PageCall[LanguageForm]) -> View | Answer[None]:
    """This browser's own choice, which comes first, follows it."""
    wanted = call.fields.language
    await ctx.store.write(lambda unit: profile.change_own(unit, ctx, ProfileChange(language=wanted or None)))
    return said.after(ctx, PATH, "language", (languages.cookie_line(wanted, ctx.services.settings),))


ROUTES = (
    page("GET", PATH, _show, TEMPLATE, "One's language", audience=Audience.SIGNED_IN),
    page("POST", PATH, _save, TEMPLATE, "Choose it", audience=Audience.SIGNED_IN, again=_again),
)
