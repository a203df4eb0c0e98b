"""What those who manage users may do with them. Owns no table: it brings users, links, sessions and ranks together.

Every verb takes who acts, judges ranks, acts and records, in the unit of work that it is given. GraphQL, the admin
plane and the command line call the same ones. Never: signing anybody in, or choosing anybody's password.
"""

from manifest_auth.accounts.accounts import (
    Admitted,
    Changed,
    Draft,
    add,
    change,
    deactivate,
    end_sessions,
    restore,
    set_roles,
)
from manifest_auth.accounts.invitations import Handed, Made, hand_over, invite, make_link, start_reset
from manifest_auth.accounts.rank import check_is_admin, managed
from manifest_auth.accounts.tools import AccountTools

__all__ = [
    "AccountTools",
    "Admitted",
    "Changed",
    "Draft",
    "Handed",
    "Made",
    "add",
    "change",
    "check_is_admin",
    "deactivate",
    "end_sessions",
    "hand_over",
    "invite",
    "make_link",
    "managed",
    "restore",
    "set_roles",
    "start_reset",
]
