"""``/api/client/directories/{directory}/prove`` and its callback: an administrator of the directory signs in."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth.errors import Conflict, NotFound, ProviderUnavailable, SsoFailed, ValidationError
from manifest_auth.http import AUTH_LIMIT, Access, Answer, Call, Route, flow_cookie, ok, redirect
from manifest_auth.http.sign_in_answer import CallbackQuery, callback_params
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import directory_proof
from manifest_auth.sign_in.directory_proof import ProveData


class ProveBody(msgspec.Struct, frozen=True, rename="camel"):
    return_to: Annotated[
        str, Meta(max_length=2000, description="A listed return address, exactly as listed; empty: the account page.")
    ] = ""


async def _prove(ctx: RequestContext, call: Call[ProveBody]) -> Answer[ProveData]:
    started = await directory_proof.begin(ctx, call.path["directory"].lower(), call.body.return_to)
    begun, settings = started.begun, ctx.services.settings
    cookie = flow_cookie(begun.cookie, begun.browser, directory_proof.LIFE_S, settings, cross_site=False)
    return ok(started.data, headers=(cookie,))


async def _callback(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    returned = callback_params(call, directory_proof.callback_of(ctx))
    flow = await directory_proof.end(ctx, returned, call.head.cookie)
    gone = flow_cookie(flow.cookie, "", 0, ctx.services.settings, cross_site=False)
    return redirect(flow.return_to, headers=(gone,))


ROUTES = (
    Route("POST", "/api/client/directories/{directory}/prove", _prove, Access.CLIENT,
          "Prove a directory: the address where its administrator signs in", limit=AUTH_LIMIT,
          permission=Permission.SETTINGS_MANAGE,
          refusals=(ValidationError, NotFound, Conflict, SsoFailed, ProviderUnavailable)),
    Route("GET", directory_proof.CALLBACK, _callback, Access.OPEN,
          "Where Microsoft sends a directory's administrator back to", status=302, query=CallbackQuery,
          refusals=(ValidationError, SsoFailed, Conflict, ProviderUnavailable), operation="endDirectoryProof"),
)  # fmt: skip
