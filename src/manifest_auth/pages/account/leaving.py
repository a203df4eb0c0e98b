"""``/account/identities/provider``: on to a provider, for who is signed in.

A form post redirects to no other origin: the provider is reached from here, by a refresh or a link.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from manifest_auth.http import Answer, flow_cookie
from manifest_auth.pages import brands
from manifest_auth.pages.call import PageCall, View, see_other
from manifest_auth.pages.routing import Audience, page
from manifest_auth.pages.sign_in import state as states
from manifest_auth.pages.sign_in.state import State
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.linking import Started
from manifest_auth.throttle.limits import FLOW_LIFE_S

_IDENTITIES = "/account/identities"
PATH = f"{_IDENTITIES}/provider"


class LeavingQuery(msgspec.Struct, frozen=True):
    s: Annotated[str, Meta(max_length=8000)] = ""


class LeavingView(msgspec.Struct, frozen=True):
    address: str


def to_provider(ctx: RequestContext, call: PageCall[Any], started: Started) -> Answer[None]:
    """The browser leaves for the provider, bound to what was begun there."""
    begun, settings = started.begun, ctx.services.settings
    cookie = flow_cookie(begun.cookie, begun.browser, FLOW_LIFE_S, settings, cross_site=started.cross_site)
    s = states.seal(ctx, _of_this(call), State(return_to=started.address))
    return see_other(f"{PATH}?s={s}", (cookie,))


async def _leave(ctx: RequestContext, call: PageCall[LeavingQuery]) -> View | Answer[None]:
    state = await states.unseal(ctx, _of_this(call), call.fields.s)
    if state is None:
        return see_other(_IDENTITIES)
    return View(LeavingView(state.return_to), brand=brands.of_user(ctx.user))


def _of_this(call: PageCall[Any]) -> str:
    """What is sealed for this page and this session opens nowhere else."""
    return f"link {call.session_id} {call.form_cookie}"


ROUTES = (page("GET", PATH, _leave, "account/leaving.html", "On to the provider", audience=Audience.SIGNED_IN),)
