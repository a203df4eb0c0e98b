"""Counts of the users and sessions that a change of a client's rules concerns, made before it is saved."""

from __future__ import annotations

from manifest_auth import sessions, tenants
from manifest_auth.accounts import users
from manifest_auth.accounts.factors import trusted_browsers
from manifest_auth.operations import admins_way_in
from manifest_auth.runtime.settings import DAY
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import StoredSettings
from manifest_auth.tenants.rules import Effects


def count(unit: TenantUnit, ctx: RequestContext, old: StoredSettings, new: StoredSettings) -> Effects:
    """How many sessions and users the change from ``old`` to ``new`` concerns. Changes nothing.

    ``old``: as stored now.
    """
    installation, now = ctx.services.settings, ctx.now
    was, most = (tenants.lengths_of(one, installation).most_s for one in (old, new))
    age = new.password.max_age_days
    days, days_then = (one.second_factor.trusted_days for one in (old, new))
    return Effects(
        sessions_ended=sessions.older(unit, most, now) if most < was else 0,
        with_password=users.with_password(unit, now) if old.password_sign_in and not new.password_sign_in else 0,
        due=users.with_password(unit, now - age * DAY * 1000) if age and age != old.password.max_age_days else 0,
        to_enrol=users.without_factor(unit, tenants.required_roles(new), but=tenants.required_roles(old)),
        trust_ended=trusted_browsers.ending(unit, days, days_then, now) if days_then < days else 0,
        locks_admins_out=admins_way_in.ends(unit, old, new),
    )
