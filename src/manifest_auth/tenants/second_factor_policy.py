"""A client's policy of second factors: of whom one is required, and from when on."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from manifest_auth.permissions import Role, mask_of
from manifest_auth.runtime.settings import DAY
from manifest_auth.tenants.settings import PasswordRules, TenantSettings

S = TypeVar("S", bound=TenantSettings)
ALONE, WITH_FACTOR = 15, 8
_NO_GRACE = Role.ADMIN.bit | Role.USER_ADMIN.bit


def is_required(settings: TenantSettings, roles: int) -> bool:
    """Whether a user with these roles (a bit mask) must have a second factor."""
    return bool(required_roles(settings) & roles)


def required_roles(settings: TenantSettings) -> int:
    """The roles whose users must have a second factor, a bit mask. Every user has a role."""
    rules = settings.second_factor
    return {"required": mask_of(list(Role)), "roles": mask_of(list(rules.roles))}.get(rules.policy, 0)


def default_length(settings: TenantSettings) -> int:
    """The least length of passwords where a client says nothing: shorter where a second factor is required of all (NIST
    SP 800-63B-4, section 3.1.1.2)."""
    return WITH_FACTOR if settings.second_factor.policy == "required" else ALONE


def password_rules(settings: TenantSettings, factors: int) -> PasswordRules:
    """The rules for the next password of one account. ``factors``: its mark; 0: it has no second factor. Where one is
    required of all, a shorter length counts from the first factor on: until then the password signs in alone."""
    rules = settings.password
    if factors or settings.second_factor.policy != "required" or rules.min_length >= ALONE:
        return rules
    return msgspec.structs.replace(rules, min_length=ALONE)


def following_length(before: S, after: S) -> S:
    """``after`` with the length that is its default, where ``before`` had its own default."""
    if before.password.min_length != default_length(before):
        return after
    password = msgspec.structs.replace(after.password, min_length=default_length(after))
    return msgspec.structs.replace(after, password=password)


def due_from(settings: TenantSettings, roles: int, found_at: int) -> int:
    """From when on sign-in asks to enrol one. ``found_at``: the first sign-in that found it due. Milliseconds."""
    days = 0 if roles & _NO_GRACE else settings.second_factor.grace_days
    return found_at + days * DAY * 1000


def passkeys_sign_in(settings: TenantSettings) -> bool:
    """Whether a passkey alone signs in. Off where passwords are, unless a client turns it on: else a leaver could come
    in past the company's provider."""
    return settings.password_sign_in if settings.passkey_sign_in is None else settings.passkey_sign_in
