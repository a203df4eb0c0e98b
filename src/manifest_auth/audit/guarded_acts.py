"""Acts that need a recent proof of who acts, and the events by which the audit trail knows them.

:mod:`manifest_auth.tenants.step_up` decides whether the proof is recent, and marks the request with the act that it was
asked about. The trail refuses an event of such an act from a request without that mark, and with it the whole
transaction: an act that forgets to ask does not happen.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from manifest_auth.context import Acting, AdminCaller, Principal, Request


class Act(enum.IntFlag):
    """``EMAIL``: a change of it, also of another user's; ``PASSWORD`` to ``IDENTITIES``: of one's own account;
    ``PASSWORD``: a change of it, which brings the current one; ``IDENTITIES``: also the confirmation of another's.
    ``RANKS``: someone becomes Admin or User Admin, or gets a link as such; of system admins, anyone gets access.
    ``DOMAINS``: of e-mail and of Microsoft directories. ``DELETION`` to ``INSTALLATION``: of system admins alone.
    ``SERVICE_ACCOUNTS``: all that gives a machine more, or a new secret. ``PAIRING``: a device is let in; ``PIN``: of
    one's own badge; ``DEVICES``: apps and shared devices of the client."""

    EMAIL = enum.auto()
    PASSWORD = enum.auto()
    FACTORS = enum.auto()
    IDENTITIES = enum.auto()
    OTHERS_FACTORS = enum.auto()
    SESSIONS = enum.auto()
    RANKS = enum.auto()
    OTHERS_PASSWORDS = enum.auto()
    PROVIDERS = enum.auto()
    DOMAINS = enum.auto()
    RULES = enum.auto()
    EXPORT = enum.auto()
    DELETION = enum.auto()
    ADMINS = enum.auto()
    KEYS = enum.auto()
    LICENCE = enum.auto()
    INSTALLATION = enum.auto()
    SERVICE_ACCOUNTS = enum.auto()
    PAIRING = enum.auto()
    PIN = enum.auto()
    DEVICES = enum.auto()


#: By event, the acts of users and system admins of which one was asked about. An act that is left out leaves an event
#: that others leave.
_EVENTS: Mapping[str, Act] = {
    "user_created": Act.RANKS,
    "user_restored": Act.RANKS,
    "user_invited": Act.RANKS,
    "user_roles_changed": Act.RANKS | Act.PROVIDERS | Act.IDENTITIES,
    "identity_confirmed": Act.IDENTITIES,
    "email_change_started": Act.EMAIL,
    "provider_created": Act.PROVIDERS,
    "provider_changed": Act.PROVIDERS,
    "provider_switched_off": Act.PROVIDERS,
    "provider_switched_on": Act.PROVIDERS,
    "provider_deleted": Act.PROVIDERS,
    "domain_claimed": Act.DOMAINS | Act.PROVIDERS,
    "domain_released": Act.DOMAINS,
    "domain_vouched": Act.DOMAINS,
    "directory_claimed": Act.DOMAINS | Act.PROVIDERS,
    "directory_released": Act.DOMAINS,
    "directory_vouched": Act.DOMAINS,
    "directory_granted": Act.DOMAINS,
    "directory_revoked": Act.DOMAINS,
    "provider_name_pinned": Act.PROVIDERS,
    "client_changed": Act.RULES,
    "service_account_created": Act.SERVICE_ACCOUNTS,
    "service_account_changed": Act.SERVICE_ACCOUNTS,
    "service_account_enabled": Act.SERVICE_ACCOUNTS,
    "service_account_deleted": Act.SERVICE_ACCOUNTS,
    "api_key_created": Act.SERVICE_ACCOUNTS,
    "api_key_rotated": Act.SERVICE_ACCOUNTS,
    "client_secret_created": Act.SERVICE_ACCOUNTS,
    "badge_issued": Act.OTHERS_PASSWORDS,
    "badge_pin_reset": Act.OTHERS_FACTORS,
    "audit_exported": Act.EXPORT,
    "second_factor_reset": Act.OTHERS_FACTORS,
    "device_app_created": Act.DEVICES,
    "device_app_changed": Act.DEVICES,
    "device_app_removed": Act.DEVICES,
    "device_enrolment_begun": Act.DEVICES,
    "client_deletion_started": Act.DELETION,
    "admin_created": Act.ADMINS,
    "admin_disabled": Act.ADMINS,
    "admin_enabled": Act.ADMINS,
    "admin_password_reset": Act.ADMINS,
    "keys_rotated": Act.KEYS,
    "key_retired": Act.KEYS,
    "license_installed": Act.LICENCE,
    "license_refused": Act.LICENCE,
    "installation_changed": Act.INSTALLATION,
}
#: The same, where the event is about the account of the user who acts.
_USERS_OWN_EVENTS: Mapping[str, Act] = {
    "pairing_begun": Act.PAIRING,
    "device_approved": Act.PAIRING,
    "password_changed": Act.PASSWORD,
    "identity_unlinked": Act.IDENTITIES,
    "second_factor_begun": Act.FACTORS,
    "second_factor_enrolled": Act.FACTORS,
    "second_factor_removed": Act.FACTORS,
    "passkey_added": Act.FACTORS,
    "passkey_removed": Act.FACTORS,
    "recovery_codes_made": Act.FACTORS,
    "badge_pin_set": Act.PIN,
}
#: The same for system admins. All other changes of their own account bring the password.
_ADMINS_OWN_EVENTS: Mapping[str, Act] = {"signed_out_all": Act.SESSIONS | Act.ADMINS}


class NotAsked(Exception):
    """A bug: an act that needs a recent proof did not ask for it."""


def check_was_asked(acting: Acting, event: str, subject: str) -> None:
    """Raises NotAsked where the event's act was not asked about in this request."""
    if not isinstance(acting, Request):
        return
    caller = acting.caller
    if not isinstance(caller, Principal | AdminCaller):
        return
    needed = _EVENTS.get(event, Act(0))
    if subject == caller.actor:
        own = _USERS_OWN_EVENTS if isinstance(caller, Principal) else _ADMINS_OWN_EVENTS
        needed |= own.get(event, Act(0))
    if needed and not needed & acting.asked:
        raise NotAsked(f"{event} of {caller.actor}: no recent proof was asked for")
