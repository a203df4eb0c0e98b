"""Clears rate-limit counters for system admins, and records that in the audit trail.

Clears either all counters, or the counters of an account or an address.
"""

from __future__ import annotations

from manifest_auth import audit, tenants
from manifest_auth.accounts import admins, users
from manifest_auth.audit import Event
from manifest_auth.context import Acting
from manifest_auth.errors import ValidationError
from manifest_auth.runtime.settings import plain_address
from manifest_auth.store import SystemUnit
from manifest_auth.text.canonical import email_key
from manifest_auth.throttle import throttle


def clear_all(unit: SystemUnit, by: Acting) -> int:
    """Clears all counters. Returns how many there were."""
    cleared = throttle.clear_all(unit)
    audit.record_installation(unit, by, Event.THROTTLES_CLEARED, cleared=cleared, all=True)
    return cleared


def check(named: dict[str, str]) -> None:
    """Checks ``named``: an account by ``client`` and ``email``, a system admin by ``username``, and an ``address``,
    which is normalized in place. Raises ValidationError."""
    wrong = []
    if ("client" in named) != ("email" in named) or ("email" in named and "username" in named):
        wrong.append(("email", "Identify an account by client and email, or by username"))
    if not named:
        wrong.append(
            ("address", "Enter a client and email address, a system admin, or an IP address. To clear all, use DELETE")
        )
    if address := named.get("address"):
        plain = plain_address(address)
        if plain is None:
            wrong.append(("address", "Enter an IP address"))
        else:
            named["address"] = plain
    if wrong:
        raise ValidationError(details=wrong)


def clear(unit: SystemUnit, by: Acting, named: dict[str, str]) -> int:
    """Clears the counters that ``named`` selects; see :func:`check`. Returns how many there were. Raises NotFound if
    the client doesn't exist."""
    address, chain, subject = named.get("address"), unit.of(audit.INSTALLATION), ""
    if "username" in named:
        admin = admins.find(unit, named["username"])
        known = admins.addresses_of(unit, admin.id) if admin else []
        cleared = throttle.clear_admin(unit, named["username"], known, address)
    elif "email" in named:
        tenant = tenants.get_named(unit, named["client"])
        chain = unit.of(tenant.id)
        user = users.find_by_email(chain, named["email"])
        known = throttle.origins_of(chain, user.id) if user else []
        cleared = throttle.clear_account(unit, tenant.id, email_key(named["email"]), known, address)
        subject = f"user:{user.id}" if user else ""
    else:
        cleared = throttle.clear_address(unit, named["address"])
    audit.record(chain, by, Event.THROTTLES_CLEARED, subject, cleared=cleared, **named)
    return cleared
