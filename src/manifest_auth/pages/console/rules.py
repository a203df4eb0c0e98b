"""``/console/rules``: what a client settles for itself."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth.errors import ReauthenticationRequired, Refusal
from manifest_auth.http import Answer
from manifest_auth.pages import said, step_up
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console import drafts, frame, rules_form
from manifest_auth.pages.console.rules_form import DONE, RulesForm
from manifest_auth.pages.routing import Audience, page
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext

PATH = "/console/rules"


class RulesQuery(msgspec.Struct, frozen=True):
    """``draft``: what was typed before a recent proof was asked for."""

    draft: Annotated[str, Meta(max_length=8000)] = ""


async def _show(ctx: RequestContext, call: PageCall[RulesQuery]) -> View | Answer[None]:
    typed = await drafts.fields_of(ctx, call, PATH, call.fields.draft)
    if typed is not None:
        return await _previewed(ctx, msgspec.convert(typed, RulesForm))
    done = said.sentence(ctx, call, DONE)
    return await frame.shown(ctx, lambda unit: rules_form.view(unit, ctx, None, done))


async def _previewed(ctx: RequestContext, form: RulesForm) -> View | Answer[None]:
    """The form with what was typed, and what that changes, unless it is refused now."""
    try:
        shown = msgspec.structs.replace(form, act="preview")
        preview = await rules_form.act(ctx, shown, lambda unit: ctx.user.tenant_id)
    except Refusal:
        preview = None
    return await frame.shown(ctx, lambda unit: preview or rules_form.view(unit, ctx, form))


async def _again(ctx: RequestContext, call: PageCall[RulesForm]) -> View | Answer[None]:
    return await frame.shown(ctx, lambda unit: rules_form.view(unit, ctx, call.fields))


async def _act(ctx: RequestContext, call: PageCall[RulesForm]) -> View | Answer[None]:
    try:
        preview = await rules_form.act(ctx, call.fields, lambda unit: ctx.user.tenant_id)
    except ReauthenticationRequired:
        return step_up.asked_first(drafts.address(ctx, call, PATH, msgspec.to_builtins(call.fields)))
    if preview is None:
        return said.after(ctx, PATH, "saved")
    return await frame.shown(ctx, lambda unit: preview)


_TEMPLATE = "console/rules.html"
ROUTES = (
    page("GET", PATH, _show, _TEMPLATE, "A client's own rules", audience=Audience.SIGNED_IN,
         permission=Permission.SETTINGS_MANAGE, english=True),
    page("POST", PATH, _act, _TEMPLATE, "Preview or save a client's own rules", audience=Audience.SIGNED_IN,
         permission=Permission.SETTINGS_MANAGE, english=True, again=_again),
)  # fmt: skip
