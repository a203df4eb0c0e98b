"""Management of accounts: users, invitations, one-time links, ranks; and system admins.

Every function takes the acting party, checks ranks, writes, and records, all in the caller's unit of work. GraphQL,
REST, and the command line call the same functions. Owns ``invitations``. Never signs in a user or chooses a password.
"""

from manifest_auth.accounts.accounts import (
    Draft,
    FactorResetData,
    UserWithAccessLink,
    add,
    change,
    check,
    check_roles,
    deactivate,
    end_session,
    end_sessions,
    invite_new,
    reset_factors,
    restore,
    set_roles,
)
from manifest_auth.accounts.one_time_links import NewLink, invite, make_link, sent, start_reset
from manifest_auth.accounts.rank import check_is_admin, get_managed, get_readable, is_admin
