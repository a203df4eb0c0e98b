"""``/pair``: where someone ends who scans the code of a pairing with a phone and not with the device."""

from __future__ import annotations

from manifest_auth.http import Answer
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.routing import page
from manifest_auth.services import RequestContext

PATH = "/pair"


async def _explain(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return View()


ROUTES = (page("GET", PATH, _explain, "devices/explained.html", "What a scanned code is for"),)
