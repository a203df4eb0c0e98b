"""Where OpenID providers, Microsoft's among them, send the browser back to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from manifest_auth.api.client.single_sign_on import ENDS, sent_on, unbind
from manifest_auth.http import Access, Answer, Call, Route
from manifest_auth.http.sign_in_cookies import browser_of
from manifest_auth.pages.sign_in import failed
from manifest_auth.pages.sign_in.failed import Tried
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers.code_flow import Returned
from manifest_auth.sign_in.providers.kind import Kind
from manifest_auth.sign_in.providers.kinds import KINDS


class CallbackQuery(msgspec.Struct, frozen=True):
    state: Annotated[str, Meta(max_length=500)] = ""
    code: Annotated[str, Meta(max_length=8000)] = ""
    iss: Annotated[str, Meta(max_length=2000)] | None = None
    error: Annotated[str, Meta(max_length=500)] = ""
    error_description: str = ""


def returned_to(call: Call[None], came_to: str) -> Returned:
    """What the browser brought to a callback address."""
    q: CallbackQuery = call.parameters
    return Returned(
        state=q.state, code=q.code, iss=q.iss, error=q.error, came_to=came_to, description=q.error_description
    )


def _routes(kind: Kind[Any, Any]) -> Iterator[Route]:
    for path, summary in kind.callbacks:

        async def end(ctx: RequestContext, call: Call[None], path: str = path) -> Answer[None]:
            came_to = ctx.services.settings.public_url.rstrip("/") + path.format_map(call.path)
            returned = returned_to(call, came_to)
            failed.note(ctx, Tried(call.path.get("client", ""), call.path.get("provider", ""), returned.state))
            flow, outcome = await kind.end(ctx, returned, call.head.cookie, browser_of(call.head))
            return sent_on(ctx, outcome, 302, unbind(ctx, flow, cross_site=kind.cross_site))

        yield Route("GET", path, end, Access.OPEN, summary, status=302, query=CallbackQuery, refusals=ENDS,
                    refused=failed.page_or_envelope)  # fmt: skip


ROUTES = tuple(route for kind in KINDS.values() for route in _routes(kind))
