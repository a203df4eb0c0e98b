"""Ends one session of a user, by its id."""

from __future__ import annotations

from manifest_auth.errors import NotFound
from manifest_auth.sessions.session_list import find_listed
from manifest_auth.sessions.sessions import end
from manifest_auth.store import TenantUnit


class SessionOver(NotFound):
    """It is a session of the user, and over already: who wanted it to end has what they wanted."""


def end_one(unit: TenantUnit, user_id: int, session_id: str, reason: str, now: int) -> None:
    """Ends the session with all its keys, on every node. ``now``: milliseconds. Raises NotFound for a session that is
    not the user's, and SessionOver for one that has ended or run out."""
    found = find_listed(unit, session_id)
    if found is None or found.user_id != user_id:
        raise NotFound()
    if found.ends_at <= now or not end(unit, session_id, reason, now):
        raise SessionOver()
