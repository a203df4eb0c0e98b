"""Parts that the console pages share: the client's looks, and addresses of a list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from manifest_auth.http.routes import Call
from manifest_auth.pages import brands
from manifest_auth.pages.call import PageCall, View
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit


async def shown(ctx: RequestContext, work: Callable[[TenantUnit], object]) -> View:
    """A page of the client of who is signed in. ``work``: makes its model, in the same read as the client's looks."""
    return await ctx.store.read(lambda unit: View(work(unit), brand=brands.of_unit(unit)))


def address(path: str, **chosen: str) -> str:
    """A path with what was chosen in its query; what is empty is left out."""
    given = {name: value for name, value in chosen.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def number_in(call: PageCall[Any]) -> int:
    """The number in the path, of what the page is about. Raises NotFound."""
    return Call(call.head, None, call.path, b"").id()
