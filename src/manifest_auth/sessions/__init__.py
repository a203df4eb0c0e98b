"""Sessions of users: opened, found, touched and ended; and tokens of other systems that were signed out.

Owns ``sessions`` and ``refused_tokens``. Knows no way to sign in, and no HTTP; what is signed is in ``tokens``.
"""

from manifest_auth.sessions.external_tokens import (
    Foreign,
    claims_stamp,
    foreign_key,
    is_refused,
    refuse_foreign,
)
from manifest_auth.sessions.last_seen import LISTING, find_seen
from manifest_auth.sessions.principal import Chain, chain_of, cookie_hash, look_up, read
from manifest_auth.sessions.principals import Principals
from manifest_auth.sessions.sessions import (
    TOUCH_EVERY_MS,
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
    open_session,
    shorten,
    take_codes_back,
    touch,
)
