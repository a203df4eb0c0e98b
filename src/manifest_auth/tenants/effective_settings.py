"""Effective settings of a client: required second factors, session lengths, and checks that types can't express."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TypeVar

import msgspec

from manifest_auth.errors import ValidationError
from manifest_auth.permissions import Role, mask_of
from manifest_auth.runtime.settings import DAY, Settings
from manifest_auth.tenants.rules import wrong_pairing
from manifest_auth.tenants.settings import ACCENT, LEAST_S, LEAVES, PasswordRules, SessionLengths, TenantSettings
from manifest_auth.text import fields
from manifest_auth.text.canonical import ORIGIN, check_return_address, is_loopback_host

S = TypeVar("S", bound=TenantSettings)
ALONE, WITH_FACTOR = 15, 8
_NO_GRACE = Role.ADMIN.bit | Role.USER_ADMIN.bit


def is_required(settings: TenantSettings, roles: int) -> bool:
    """Whether a user with these roles (a bit mask) must have a second factor."""
    return bool(required_roles(settings) & roles)


def required_roles(settings: TenantSettings) -> int:
    """Returns the roles whose users must have a second factor, as a bit mask. Every user has a role."""
    rules = settings.second_factor
    return {"required": mask_of(list(Role)), "roles": mask_of(list(rules.roles))}.get(rules.policy, 0)


def default_length(settings: TenantSettings) -> int:
    """Returns the default minimum length of passwords: shorter if all users must have a second factor (NIST SP
    800-63B-4, section 3.1.1.2)."""
    return WITH_FACTOR if settings.second_factor.policy == "required" else ALONE


def password_rules(settings: TenantSettings, factors: int) -> PasswordRules:
    """Returns the rules for the next password of one account. ``factors`` is its mark; 0: it has no second factor. If
    all users must have one, the shorter length applies from the first factor on, since until then the password is
    enough to sign in."""
    rules = settings.password
    if factors or settings.second_factor.policy != "required" or rules.min_length >= ALONE:
        return rules
    return msgspec.structs.replace(rules, min_length=ALONE)


def following_length(before: S, after: S) -> S:
    """Returns ``after`` with its default length, if ``before`` had its own default."""
    if before.password.min_length != default_length(before):
        return after
    password = msgspec.structs.replace(after.password, min_length=default_length(after))
    return msgspec.structs.replace(after, password=password)


def due_from(settings: TenantSettings, roles: int, found_at: int) -> int:
    """Returns when sign-in starts to require enrollment, in milliseconds. ``found_at`` is the first sign-in that found
    it due."""
    days = 0 if roles & _NO_GRACE else settings.second_factor.grace_days
    return found_at + days * DAY * 1000


def passkeys_sign_in(settings: TenantSettings) -> bool:
    """Whether a passkey is enough to sign in. If passwords are off, it is off too unless a client turns it on, because
    a former employee could otherwise bypass the company's provider."""
    return settings.password_sign_in if settings.passkey_sign_in is None else settings.passkey_sign_in


def installation_lengths(installation: Settings) -> SessionLengths:
    """Returns the installation's values."""
    return SessionLengths(installation.session_idle_ttl, installation.session_max_ttl, installation.refresh_token_ttl)


def lengths_of(settings: TenantSettings, installation: Settings) -> SessionLengths:
    """Returns a client's values, limited by the installation's."""
    return _limited(settings.sessions, installation_lengths(installation))


@lru_cache(maxsize=1024)  # used by each request with a cookie
def _limited(own: SessionLengths, most: SessionLengths) -> SessionLengths:
    both = zip(_seconds(own), _seconds(most), strict=True)
    return SessionLengths(*(min(mine or limit, limit) for mine, limit in both))


_IMPLIED = {"http": 80, "https": 443}
_LENGTHS = ("idleSeconds", "maxSeconds", "refreshSeconds")


def check(settings: TenantSettings, under: str = "") -> None:
    """Checks settings. ``under`` is the prefix of the names of members in a refusal. Raises ValidationError that names
    all invalid members."""
    wrong = [(f"{under}{field}", text) for field, text in _wrong(settings)]
    if wrong:
        raise ValidationError(details=wrong)


def _wrong(settings: TenantSettings) -> Iterator[tuple[str, str]]:
    for number, origin in enumerate(settings.allowed_origins):
        yield from _refused(check_origin, origin, f"allowedOrigins[{number}]")
    for number, address in enumerate(settings.return_addresses):
        yield from _refused(check_return_address, address, f"returnAddresses[{number}]")
    for name, seconds in zip(_LENGTHS, _seconds(settings.sessions), strict=True):
        if 0 < seconds < LEAST_S:
            yield f"sessions.{name}", f"Must be 0 or at least {LEAST_S}"
    if settings.second_factor.policy == "roles" and not settings.second_factor.roles:
        yield "secondFactor.roles", "Enter at least one role"
    yield from wrong_pairing(settings.pairing)
    yield from _refused(fields.CONTACT.check, settings.contact, "contact")
    if settings.contact and not any(map(str.isalnum, settings.contact)):
        yield "contact", "Enter a contact as plain text, or leave it empty"
    yield from _refused(fields.BRAND_NAME.check, settings.branding.name, "branding.name")
    if settings.branding.accent and not ACCENT.match(settings.branding.accent):
        yield "branding.accent", "Must be #rrggbb in lowercase, or empty"


def _refused(check_one: Callable[..., object], *arguments: object, **options: object) -> tuple[tuple[str, str], ...]:
    """Returns the message of a check that raises ValidationError."""
    try:
        check_one(*arguments, **options)
    except ValidationError as error:
        return error.details
    return ()


def check_origin(origin: str, field: str) -> None:
    """Checks a value of an ``Origin`` header (RFC 6454, section 6.2). Raises ValidationError."""
    if wrong := _wrong_with_origin(origin):
        raise ValidationError(details=[(field, wrong)])


def _wrong_with_origin(origin: str) -> str:
    """Returns the fault of the value; empty if there is none."""
    parts = ORIGIN.match(origin)
    if parts is None:
        return "Must be scheme://host[:port] in lowercase"
    scheme, host, port = parts.groups()
    if port and (int(port) > 65535 or int(port) == _IMPLIED[scheme]):
        return f"Must have a port up to 65535, and omit {_IMPLIED[scheme]}, as browsers do"
    if scheme == "http" and not is_loopback_host(host.strip("[]")):
        return "Must begin with https://, except for this machine (localhost, 127.0.0.1, [::1])"
    return ""


def check_lengths(sessions: SessionLengths, most: SessionLengths, under: str = "") -> None:
    """Raises ValidationError for each length above the installation's (``most``)."""
    lengths = zip(_LENGTHS, _seconds(sessions), _seconds(most), strict=True)
    wrong = [
        (f"{under}sessions.{name}", f"Must be at most {limit}") for name, seconds, limit in lengths if seconds > limit
    ]
    if wrong:
        raise ValidationError(details=wrong)


def _seconds(sessions: SessionLengths) -> tuple[int, int, int]:
    return sessions.idle_seconds, sessions.max_seconds, sessions.refresh_seconds


def admin_only_members(before: TenantSettings, after: TenantSettings) -> list[str]:
    """Returns the changed members that only an Admin can change in this way: they weaken the protection of Admins' own
    accounts, or decide whether Admins can sign in with a password."""
    return [leaf.name for leaf in LEAVES if leaf.rule.weaker(leaf.change(before, after))]
