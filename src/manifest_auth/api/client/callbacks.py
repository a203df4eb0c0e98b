"""Where OpenID providers, Microsoft's among them, send the browser back to."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth.api.client.sign_in_answer import browser_of
from manifest_auth.api.client.single_sign_on import ENDS, sent_on, unbind
from manifest_auth.http import Answer, Call, Door, Route
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import dynamics, oidc


class CallbackQuery(msgspec.Struct, frozen=True):
    state: Annotated[str, Meta(max_length=500)] = ""
    code: Annotated[str, Meta(max_length=8000)] = ""
    iss: Annotated[str, Meta(max_length=2000)] | None = None
    error: Annotated[str, Meta(max_length=500)] = ""
    error_description: str = ""


async def _oidc_callback(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    return await _oidc_answer(ctx, call, oidc.own_callback(ctx, call.path["client"], call.path["provider"]))


async def _oidc_shared_callback(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    return await _oidc_answer(ctx, call, oidc.shared_callback(ctx))


async def _oidc_answer(ctx: RequestContext, call: Call[None], came_to: str) -> Answer[None]:
    q: CallbackQuery = call.parameters
    returned = oidc.Returned(q.state, q.code, q.iss, q.error, came_to, q.error_description)
    flow, outcome = await oidc.end(ctx, returned, call.head.cookie, browser_of(call.head))
    return sent_on(ctx, outcome, 302, unbind(ctx, flow, cross_site=False))


async def _dynamics_callback(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    q: CallbackQuery = call.parameters
    returned = oidc.Returned(q.state, q.code, q.iss, q.error, dynamics.callback_of(ctx), q.error_description)
    flow, outcome = await dynamics.end(ctx, returned, call.head.cookie, browser_of(call.head))
    return sent_on(ctx, outcome, 302, unbind(ctx, flow, cross_site=False))


ROUTES = (
    Route("GET", f"{oidc.CALLBACK}/{{client}}/{{provider}}", _oidc_callback, Door.OPEN,
          "Where an OpenID provider sends the browser back to", status=302, query=CallbackQuery, refusals=ENDS),
    Route("GET", oidc.CALLBACK, _oidc_shared_callback, Door.OPEN,
          "The same for providers with `sharedCallback` that announce `iss`", status=302, query=CallbackQuery,
          refusals=ENDS),
    Route("GET", dynamics.CALLBACK, _dynamics_callback, Door.OPEN, "Where Microsoft sends the browser back to",
          status=302, query=CallbackQuery, refusals=ENDS),
)  # fmt: skip
