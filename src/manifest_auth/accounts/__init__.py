"""What those who manage accounts may do with them: users, invitations, one-time links, ranks; system admins too.

Every function takes who acts, judges ranks, acts and records, in the unit of work that it is given; GraphQL, the admin
plane and the command line call the same ones. Owns ``invitations``. Never signs anyone in, never chooses a password.
"""

from manifest_auth.accounts.accounts import (
    Admitted,
    Changed,
    Draft,
    add,
    change,
    deactivate,
    end_session,
    end_sessions,
    restore,
    set_roles,
)
from manifest_auth.accounts.invitations import Made, hand_over, invite, make_link, start_reset
from manifest_auth.accounts.rank import check_is_admin, is_admin, looked_at, managed
from manifest_auth.accounts.tools import AccountTools
