"""``/account``: who is signed in here, and at which client."""

from __future__ import annotations

import msgspec

from manifest_auth.http import Answer
from manifest_auth.pages import brands
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.routing import Audience, page
from manifest_auth.permissions import role_names
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.return_addresses import ACCOUNT


class HomeView(msgspec.Struct, frozen=True):
    """``name``: empty for a user without one; ``signed_in_at``: milliseconds since 1970."""

    name: str
    email: str
    title: str
    client: str
    roles: tuple[str, ...]
    signed_in_at: int


async def _home(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    user = ctx.user
    view = HomeView(
        name=f"{user.first_name} {user.last_name}".strip(),
        email=user.email,
        title=user.title,
        client=user.client_name,
        roles=tuple(role_names(user.roles)),
        signed_in_at=user.created_at,
    )
    return View(view, brand=brands.of_user(user))


ROUTES = (page("GET", ACCOUNT, _home, "account/home.html", "Who one is", audience=Audience.SIGNED_IN),)
