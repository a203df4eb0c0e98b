"""A client's policy of second factors: of whom one is required, from when on, and which changes weaken it."""

from __future__ import annotations

from manifest_auth.permissions import Role, roles_of
from manifest_auth.runtime.settings import DAY
from manifest_auth.tenants.settings import TenantSettings

_STRENGTH = {"off": 0, "optional": 0, "roles": 1, "required": 2}
_NO_GRACE = Role.ADMIN.bit | Role.USER_ADMIN.bit


def is_required(settings: TenantSettings, roles: int) -> bool:
    """Whether a user with these roles (a bit mask) must have a second factor."""
    rules = settings.second_factor
    return rules.policy == "required" or (rules.policy == "roles" and bool({*roles_of(roles)} & {*rules.roles}))


def due_from(settings: TenantSettings, roles: int, found_at: int) -> int:
    """From when on sign-in asks to enrol one. ``found_at``: the first sign-in that found it due. Milliseconds."""
    days = 0 if roles & _NO_GRACE else settings.second_factor.grace_days
    return found_at + days * DAY * 1000


def passkeys_sign_in(settings: TenantSettings) -> bool:
    """Whether a passkey alone signs in. Off where passwords are, unless a client turns it on: else a leaver could come
    in past the company's provider."""
    return settings.password_sign_in if settings.passkey_sign_in is None else settings.passkey_sign_in


def weakened(before: TenantSettings, after: TenantSettings) -> dict[str, bool]:
    """By member, whether the change protects Admins less."""
    old, new = before.second_factor, after.second_factor
    return {
        "secondFactor.policy": _STRENGTH[new.policy] < _STRENGTH[old.policy],
        "secondFactor.roles": bool({*old.roles} - {*new.roles}) and "roles" in (old.policy, new.policy),
        "secondFactor.trustedDays": new.trusted_days > old.trusted_days,
        "passkeySignIn": after.passkey_sign_in != before.passkey_sign_in,
        "stepUp": before.step_up == "management" and after.step_up == "factors",
    }
