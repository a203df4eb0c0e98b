"""Badges and PINs, with which people sign in on devices that belong to their client.

Owns ``badges`` and ``badge_pins``. Never opens a session, and never computes a hash.
"""

from manifest_auth.accounts.badges.management import (
    BADGE_ROLES,
    NewBadge,
    Overview,
    check_own,
    check_reset,
    drop_all,
    end_badge,
    givers_still_may,
    issue_badge,
    look,
    reset_pin,
    set_own_pin,
)
