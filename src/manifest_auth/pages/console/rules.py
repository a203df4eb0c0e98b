"""``/console/rules``: what a client settles for itself."""

from __future__ import annotations

from manifest_auth.http import Answer
from manifest_auth.pages import said
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console import frame, rules_form
from manifest_auth.pages.console.rules_form import DONE, RulesForm
from manifest_auth.pages.routing import Audience, page
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext

PATH = "/console/rules"


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    done = said.sentence(ctx, call, DONE)
    return await frame.shown(ctx, lambda unit: rules_form.view(unit, ctx, None, done))


async def _again(ctx: RequestContext, call: PageCall[RulesForm]) -> View | Answer[None]:
    return await frame.shown(ctx, lambda unit: rules_form.view(unit, ctx, call.fields))


async def _act(ctx: RequestContext, call: PageCall[RulesForm]) -> View | Answer[None]:
    preview = await rules_form.act(ctx, call.fields, lambda unit: ctx.user.tenant_id)
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
