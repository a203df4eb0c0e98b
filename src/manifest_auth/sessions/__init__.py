"""Sessions of users. Owns ``sessions``: opens, finds, touches and ends them. Knows no token and no way to sign in."""

from manifest_auth.sessions.foreign import Foreign, foreign_key, is_refused, refuse_foreign
from manifest_auth.sessions.principals import Principals
from manifest_auth.sessions.seen import LISTING, SessionSeen, find_seen
from manifest_auth.sessions.sessions import (
    TOUCH_EVERY_MS,
    Chain,
    Opened,
    Principal,
    SessionRow,
    advance,
    advance_at_once,
    end,
    end_all,
    end_provider,
    end_shown,
    end_tenant,
    end_users_at,
    list_open,
    look_up,
    open_session,
    read,
    touch,
)

__all__ = [
    "LISTING",
    "TOUCH_EVERY_MS",
    "Chain",
    "Foreign",
    "Opened",
    "Principal",
    "Principals",
    "SessionRow",
    "SessionSeen",
    "advance",
    "advance_at_once",
    "end",
    "end_all",
    "end_provider",
    "end_shown",
    "end_tenant",
    "end_users_at",
    "find_seen",
    "foreign_key",
    "is_refused",
    "list_open",
    "look_up",
    "open_session",
    "read",
    "refuse_foreign",
    "touch",
]
