"""``…/users/{user}/factors/reset``: a manager takes a user's second factors away.

One handler for system admins, who name a client in the path, and for a client's own managers.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth import accounts
from manifest_auth.accounts.factor_reset import LONGEST_REASON
from manifest_auth.api.admin import client_scope
from manifest_auth.errors import NotFound, ValidationError
from manifest_auth.http import AUTH_LIMIT, Access, Call, Route, Wire
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext


class FactorResetBody(msgspec.Struct, frozen=True):
    reason: Annotated[str, Meta(min_length=1, max_length=LONGEST_REASON, description="For the audit trail.")]


class FactorResetData(Wire, frozen=True):
    """``factors``: how many were taken away; ``sessions``: how many ended."""

    factors: int
    sessions: int


async def _reset(ctx: RequestContext, call: Call[FactorResetBody]) -> FactorResetData:
    tools, user_id, reason = ctx.services.account_tools, call.id("user"), call.body.reason
    done = await client_scope.write(ctx, call, lambda unit: accounts.reset_factors(unit, ctx, tools, user_id, reason))
    ctx.services.mail_queue.send_soon(ctx.request_id, done.mail)
    return FactorResetData(done.factors, done.sessions)


def _routes(base: str, access: Access) -> tuple[Route, ...]:
    return (
        Route("POST", f"{base}/factors/reset", _reset, access,
              "Take a user's second factors away; all of the user's sessions end",
              limit=AUTH_LIMIT, refusals=(NotFound, ValidationError)),
    )  # fmt: skip


ROUTES = client_scope.for_admins_and_users(_routes, "/users/{user}", Permission.USERS_MANAGE)
