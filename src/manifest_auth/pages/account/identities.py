"""``/account/identities``: who one is at the client's providers; links another identity, unlinks one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from manifest_auth.accounts import users
from manifest_auth.http import Answer, flow_cookie
from manifest_auth.pages import brands, flash
from manifest_auth.pages.call import PageCall, View, require, see_other
from manifest_auth.pages.routing import account_page
from manifest_auth.pages.sign_in import step
from manifest_auth.pages.sign_in.step import State, StateQuery
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import identities
from manifest_auth.sign_in.identities import begin_linking, offered
from manifest_auth.sign_in.providers.kind import SignInStart
from manifest_auth.store import TenantUnit
from manifest_auth.text.canonical import when
from manifest_auth.throttle.limits import FLOW_LIFE_S

# A form post redirects to no other origin: the provider is reached from here, by a refresh or a link.


_IDENTITIES = "/account/identities"
PROVIDER_PATH = f"{_IDENTITIES}/provider"


def to_provider(ctx: RequestContext, call: PageCall[Any], started: SignInStart) -> Answer[None]:
    """The browser leaves for the provider, bound to what was begun there."""
    begun, settings = started.begun, ctx.services.settings
    cookie = flow_cookie(begun.cookie, begun.browser, FLOW_LIFE_S, settings, cross_site=started.cross_site)
    s = step.seal_state(ctx, _of_this(call), State(return_to=started.address))
    return see_other(f"{PROVIDER_PATH}?s={s}", (cookie,))


async def _to_provider_page(ctx: RequestContext, call: PageCall[StateQuery]) -> View | Answer[None]:
    state = await step.unseal_state(ctx, _of_this(call), call.fields.s)
    if state is None:
        return see_other(_IDENTITIES)
    return View(state.return_to, brand=brands.of_user(ctx.user))


def _of_this(call: PageCall[Any]) -> str:
    """What is sealed for this page and this session opens nowhere else."""
    return f"link {call.session_id} {call.form_cookie}"


PATH = "/account/identities"
TEMPLATE = "account/identities.html"
_NEW_MS = 5 * 60_000


class ChangeForm(msgspec.Struct, frozen=True):
    """One of the two. ``link``: name of a provider; ``unlink``: id of an identity."""

    link: Annotated[str, Meta(max_length=63)] = ""
    unlink: Annotated[int, Meta(ge=0, le=2**53)] = 0


def _view(unit: TenantUnit, ctx: RequestContext) -> SimpleNamespace:
    own = identities.own(unit, ctx)
    linked = {row.provider for row, _why in own}
    return SimpleNamespace(
        identities=own,
        new_since=when(ctx.now - _NEW_MS),
        offers=[one for one in offered(unit) if one.name not in linked],
        has_password=users.get(unit, ctx.user.user_id).password_hash is not None,
    )


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await brands.shown(ctx, lambda unit: _view(unit, ctx))


async def _change(ctx: RequestContext, call: PageCall[ChangeForm]) -> View | Answer[None]:
    form = call.fields
    if form.unlink:
        await ctx.store.write(lambda unit: identities.unlink_own(unit, ctx, form.unlink))
        return flash.after(ctx, PATH, "unlinked")
    require(link=form.link)
    started = await begin_linking(ctx, form.link, PATH)
    return to_provider(ctx, call, started)


ROUTES = (
    account_page("GET", PROVIDER_PATH, _to_provider_page, "account/leaving.html", "On to the provider"),
    account_page("GET", PATH, _show, TEMPLATE, "One's identities at providers"),
    account_page("POST", PATH, _change, TEMPLATE, "Link another, or unlink one", again=_show),
)
