"""``/account/apps``: apps with access to the user's account."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import msgspec

from manifest_auth.accounts import apps
from manifest_auth.errors import NotFound
from manifest_auth.http import Answer
from manifest_auth.pages import brands, flash, scopes
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.routing import account_page
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.text import fields

PATH, TEMPLATE = "/account/apps", "account/apps.html"


class RemoveForm(msgspec.Struct, frozen=True):
    """The form that removes an app. ``app``: its client ID."""

    app: fields.TypedToken = ""


@brands.shows
def _show(ctx: RequestContext, call: PageCall[None], unit: TenantUnit) -> SimpleNamespace:
    return SimpleNamespace(apps=apps.list_grants(unit, ctx.user.user_id), in_words=scopes.in_words)


async def _remove(ctx: RequestContext, call: PageCall[RemoveForm]) -> View | Answer[None]:
    with contextlib.suppress(NotFound):  # the button was pressed twice
        await ctx.store.write(lambda unit: apps.withdraw(unit, ctx, ctx.user.user_id, call.fields.app))
    return flash.after(ctx, PATH, "access-removed")


ROUTES = (
    account_page("GET", PATH, _show, TEMPLATE, "Apps with access to your account"),
    account_page("POST", PATH, _remove, TEMPLATE, "Remove access of an app"),
)
