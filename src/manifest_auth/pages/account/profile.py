"""``/account/profile``: one's own names and title."""

from __future__ import annotations

import msgspec

from manifest_auth.accounts import profile, users
from manifest_auth.accounts.profile import ProfileChange
from manifest_auth.http import Answer
from manifest_auth.pages import said
from manifest_auth.pages.account.frame import AccountView, just_done, shown
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.routing import Audience, page
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit

PATH = "/account/profile"
TEMPLATE = "account/profile.html"


class ProfileForm(msgspec.Struct, frozen=True, rename="camel"):
    first_name: str = ""
    last_name: str = ""
    title: str = ""


class ProfileView(AccountView, frozen=True, kw_only=True):
    first_name: str
    last_name: str
    title: str


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    done = just_done(ctx, call)

    def work(unit: TenantUnit) -> ProfileView:
        user = users.get(unit, ctx.user.user_id)
        return ProfileView(said=done, first_name=user.first_name, last_name=user.last_name, title=user.title)

    return await shown(ctx, work)


async def _again(ctx: RequestContext, call: PageCall[ProfileForm]) -> View | Answer[None]:
    return await shown(ctx, lambda unit: ProfileView(**msgspec.structs.asdict(call.fields)))


async def _save(ctx: RequestContext, call: PageCall[ProfileForm]) -> View | Answer[None]:
    form = call.fields
    given = ProfileChange(first_name=form.first_name, last_name=form.last_name, title=form.title)
    await ctx.store.write(lambda unit: profile.change_own(unit, ctx, given))
    return said.after(ctx, PATH, "profile")


ROUTES = (
    page("GET", PATH, _show, TEMPLATE, "One's names and title", audience=Audience.SIGNED_IN),
    page("POST", PATH, _save, TEMPLATE, "Change them", audience=Audience.SIGNED_IN, again=_again),
)
