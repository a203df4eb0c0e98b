"""The token that a form of a page would bring along, whether or not the page shows that form now."""

from __future__ import annotations

from typing import Any
from unittest import mock

from manifest_auth.pages import security
from tests.support.visitor import Visitor


async def right_token(visitor: Visitor, path: str) -> str:
    """For this browser, in its session there, and a post to ``path``."""
    seen: list[tuple[Any, Any]] = []
    original = security.token_for

    def noting(ctx: Any, call: Any, action: str) -> str:
        seen.append((ctx, call))
        return original(ctx, call, action)

    with mock.patch.object(security, "token_for", noting):
        shown = await visitor.get("/installation/account" if path.startswith("/installation") else "/sign-out")
        if not seen:  # for one who is signed in there no more
            await visitor.follow(shown)
    ctx, call = seen[-1]
    return original(ctx, call, path)
