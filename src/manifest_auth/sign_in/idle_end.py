"""The end of sessions that no one uses: of those that end so under all keys, each use is noted, once a minute.

Other nodes are not told of a use. So a node that remembers an older one reads the store before it takes a session for
over.
"""

from __future__ import annotations

from manifest_auth import sessions
from manifest_auth.context import Principal
from manifest_auth.services import RequestContext


def touch_ms(idle_ms: int) -> int:
    """How old a noted use may be until the next one is noted. ``idle_ms``: the longest time without use."""
    return min(sessions.TOUCH_EVERY_MS, idle_ms // 2)


def is_due(ctx: RequestContext, principal: Principal) -> bool:
    """Whether a use has to be noted, so that what is remembered may be old."""
    idle_s = principal.idle_s
    return idle_s is not None and ctx.now - principal.cookie_seen_at >= touch_ms(idle_s * 1000)


async def note_use(ctx: RequestContext, principal: Principal) -> None:
    """Notes that the session is used now, where that is due."""
    if is_due(ctx, principal):
        now, session_id = ctx.now, principal.session_id
        await ctx.services.store.of(principal.tenant_id).write_quickly(
            lambda unit: sessions.touch(unit, session_id, now)
        )
        ctx.services.principals.touched(principal, now)
