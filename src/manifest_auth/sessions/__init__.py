"""Sessions of users: open, look up, renew and end them; and signed-out tokens of other systems.

Owns ``sessions`` and ``refused_tokens``. This package knows no sign-in method and no HTTP; ``tokens`` signs and
verifies.
"""

from manifest_auth.sessions.device_sessions import Hold
from manifest_auth.sessions.principals import (
    Chain,
    ExternalCaller,
    Principals,
    TokenOfService,
    claims_stamp,
    external_key,
    is_refused,
    look_up_with_chain,
    read,
    read_by_cookie,
    read_with_chain,
    refuse_external_token,
)
from manifest_auth.sessions.sessions import (
    LISTING,
    OFFLINE,
    TOUCH_EVERY_MS,
    AppHold,
    ListedSession,
    Opened,
    SessionOver,
    advance,
    advance_at_once,
    count_open,
    end,
    end_all,
    end_by_cookie,
    end_one,
    end_provider,
    end_tenant,
    find_listed,
    hold,
    list_open,
    may_have_children,
    older,
    open_child,
    open_ones_of,
    open_session,
    proved_again,
    provider_of,
    shorten,
    touch,
    void_pending,
    void_pending_of_provider,
)
