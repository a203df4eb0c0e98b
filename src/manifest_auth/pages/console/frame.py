"""What the pages of the console share: the client's looks, addresses of a list, and the sentence after a change."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

import msgspec

from manifest_auth import tenants
from manifest_auth.operations import branding
from manifest_auth.pages.call import Brand, View
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit


class DoneQuery(msgspec.Struct, frozen=True):
    """``done``: what was just done, by a word of the page's own; another word says nothing."""

    done: str = ""


async def shown(ctx: RequestContext, work: Callable[[TenantUnit], object]) -> View:
    """A page of the client of who is signed in. ``work``: makes its model, in the same read as the client's looks."""

    def read(unit: TenantUnit) -> View:
        brand = branding.brand_of(unit, tenants.get(unit, unit.tenant_id))
        return View(work(unit), brand=Brand(brand.name, brand.stylesheet or "", brand.logo or ""))

    return await ctx.store.read(read)


def address(path: str, **chosen: str) -> str:
    """A path with what was chosen in its query; what is empty is left out."""
    given = {name: value for name, value in chosen.items() if value}
    return f"{path}?{urlencode(given)}" if given else path
