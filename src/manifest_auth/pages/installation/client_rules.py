"""``/installation/clients/{identifier}/rules``: the rules of one client, changed by those who run the server."""

from __future__ import annotations

import msgspec

from manifest_auth import tenants
from manifest_auth.http import Answer
from manifest_auth.pages import said
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console import rules as rules_form
from manifest_auth.pages.console.rules import DONE, RulesForm, RulesView
from manifest_auth.pages.installation import client_frame
from manifest_auth.pages.installation.client_frame import ClientFrame
from manifest_auth.pages.routing import Audience, page
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit

PATH = client_frame.RULES
_TEMPLATE = "installation/client_rules.html"


class ClientRulesView(msgspec.Struct, frozen=True):
    frame: ClientFrame
    rules: RulesView


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await _view(ctx, call.path["client"], None, said.sentence(ctx, call, DONE))


async def _again(ctx: RequestContext, call: PageCall[RulesForm]) -> View | Answer[None]:
    return await _view(ctx, call.path["client"], call.fields)


async def _view(
    ctx: RequestContext, name: str, typed: RulesForm | None, done: str = "", preview: RulesView | None = None
) -> View:
    def read(unit: SystemUnit) -> ClientRulesView:
        tenant = tenants.get_named(unit, name)
        rules = preview or rules_form.view(unit.of(tenant.id), ctx, typed, done)
        return ClientRulesView(client_frame.of(tenant, PATH.format(client=tenant.identifier)), rules)

    return View(await ctx.services.store.read(read))


async def _act(ctx: RequestContext, call: PageCall[RulesForm]) -> View | Answer[None]:
    name = call.path["client"]
    preview = await rules_form.act(ctx, call.fields, lambda unit: tenants.get_named(unit, name).id)
    if preview is None:
        return said.after(ctx, PATH.format(client=name), "saved")
    return await _view(ctx, name, call.fields, preview=preview)


ROUTES = (
    page("GET", PATH, _show, _TEMPLATE, "The rules of one client", audience=Audience.SYSTEM_ADMIN, english=True),
    page("POST", PATH, _act, _TEMPLATE, "Preview or save the rules of one client", audience=Audience.SYSTEM_ADMIN,
         english=True, again=_again),
)  # fmt: skip
