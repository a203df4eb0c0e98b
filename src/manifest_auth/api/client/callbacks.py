"""Callback routes, to which OpenID providers and Microsoft send the browser back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from manifest_auth.api.client.single_sign_on import END_REFUSALS, clear_flow_cookie, redirect_outcome
from manifest_auth.errors import MfaRequired
from manifest_auth.http import Access, Answer, Call, Route
from manifest_auth.http.cookies import browser_of
from manifest_auth.pages.sign_in import provider_errors, step
from manifest_auth.pages.sign_in.provider_errors import Tried
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers.code_flow import CallbackParams
from manifest_auth.sign_in.providers.kind import Kind
from manifest_auth.sign_in.providers.kinds import KINDS


class CallbackQuery(msgspec.Struct, frozen=True):
    state: Annotated[str, Meta(max_length=500)] = ""
    code: Annotated[str, Meta(max_length=8000)] = ""
    iss: Annotated[str, Meta(max_length=2000)] | None = None
    error: Annotated[str, Meta(max_length=500)] = ""
    error_description: str = ""


def callback_params(call: Call[None], callback_address: str) -> CallbackParams:
    """The parameters that came to a callback address."""
    q: CallbackQuery = call.parameters
    return CallbackParams(
        state=q.state,
        code=q.code,
        iss=q.iss,
        error=q.error,
        callback_address=callback_address,
        description=q.error_description,
    )


def _routes(kind: Kind[Any, Any]) -> Iterator[Route]:
    for path, summary in kind.callbacks:
        shared = "Shared" if len(kind.callbacks) > 1 and "{provider}" not in path else ""

        async def end(ctx: RequestContext, call: Call[None], path: str = path) -> Answer[None]:
            callback_address = ctx.services.settings.public_url.rstrip("/") + path.format_map(call.path)
            returned = callback_params(call, callback_address)
            provider_errors.note(ctx, Tried(call.path.get("client", ""), call.path.get("provider", ""), returned.state))
            try:
                flow, outcome = await kind.end(ctx, returned, call.head.cookie, browser_of(ctx, call.head))
            except MfaRequired as due:
                return await step.begin_after_provider(ctx, due, call.head)
            return redirect_outcome(ctx, outcome, 302, clear_flow_cookie(ctx, flow, cross_site=kind.cross_site))

        yield Route("GET", path, end, Access.OPEN, summary, status=302, redirects=(303,), query=CallbackQuery,
                    refusals=END_REFUSALS, refused=provider_errors.page_or_envelope,
                    operation=f"end{shared}{kind.name.capitalize()}SignIn")  # fmt: skip


ROUTES = tuple(route for kind in KINDS.values() for route in _routes(kind))
