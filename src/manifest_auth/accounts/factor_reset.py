"""A manager takes a user's second factors away: for a user who lost them, or whose account another person got into."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth.accounts import factor_notices, factors, one_time_links, rank
from manifest_auth.accounts.account_tools import AccountTools
from manifest_auth.accounts.one_time_links import Purpose
from manifest_auth.accounts.rank import RequestOrOrigin
from manifest_auth.accounts.users import email_changes
from manifest_auth.audit import Act, Event
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.text import fields

_OWN = "You cannot reset your own second factors; remove them in your account, or ask another manager"


class FactorReset(NamedTuple):
    """How many factors were taken away, and how many sessions ended."""

    factors: int
    sessions: int


def reset_factors(
    unit: TenantUnit, who: RequestOrOrigin, tools: AccountTools, user_id: int, reason: str
) -> FactorReset:
    """Takes authenticator app, passkeys, recovery codes and trusted browsers away, ends all sessions and the sign-ins
    that wait for a factor, and closes open reset links and changes of the e-mail address. ``reason``: for the audit
    trail. Raises NotFound, Forbidden, ValidationError, ReauthenticationRequired."""
    step_up.check(who, Act.OTHERS_FACTORS)
    fields.REASON.check(reason, "reason")
    user, now = rank.get_managed(unit, who, user_id, own=_OWN), who.origin.at
    dropped = factors.drop_all(unit, user.id, "second_factor_reset", now)
    closed = one_time_links.close(unit, user.id, now, Purpose.RESET)
    email_changes.close_pending(unit, user.id, now)
    factor_notices.tell(
        unit, who, tools.mail_queue, user, Event.SECOND_FACTOR_RESET,
        reason=reason, factors=dropped.factors, sessions_ended=dropped.sessions, links_closed=closed,
    )  # fmt: skip
    return FactorReset(dropped.factors, dropped.sessions)
