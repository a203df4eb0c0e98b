"""Rules for a client's settings that their types cannot express, and which changes only an Admin may make."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from manifest_auth.errors import ValidationError
from manifest_auth.tenants import device_rules
from manifest_auth.tenants.session_lengths import Lengths
from manifest_auth.tenants.settings import ACCENT, LEAST_S, LEAVES, SessionLengths, TenantSettings
from manifest_auth.text import fields
from manifest_auth.text.canonical import ORIGIN, check_return_address, is_loopback_host

_IMPLIED = {"http": 80, "https": 443}
_LENGTHS = ("idleSeconds", "maxSeconds", "refreshSeconds")


def check(settings: TenantSettings, under: str = "") -> None:
    """Checks settings. ``under``: prefix of the names of members in a refusal. Raises ValidationError that names all
    that are wrong."""
    wrong = [(f"{under}{field}", text) for field, text in _wrong(settings)]
    if wrong:
        raise ValidationError(details=wrong)


def _wrong(settings: TenantSettings) -> Iterator[tuple[str, str]]:
    for number, origin in enumerate(settings.allowed_origins):
        if text := _wrong_with_origin(origin):
            yield f"allowedOrigins[{number}]", text
    for number, address in enumerate(settings.return_addresses):
        yield from _refused(check_return_address, address, f"returnAddresses[{number}]")
    for name, seconds in zip(_LENGTHS, _seconds(settings.sessions), strict=True):
        if 0 < seconds < LEAST_S:
            yield f"sessions.{name}", f"Must be 0 or at least {LEAST_S}"
    if settings.second_factor.policy == "roles" and not settings.second_factor.roles:
        yield "secondFactor.roles", "Name one role at least"
    yield from device_rules.wrong(settings.pairing)
    yield from _refused(fields.CONTACT.check, settings.contact, "contact")
    if settings.contact and not any(map(str.isalnum, settings.contact)):
        yield "contact", "Say whom to ask, in words or numbers, or leave it empty"
    yield from _refused(fields.BRAND_NAME.check, settings.branding.name, "branding.name")
    if settings.branding.accent and not ACCENT.match(settings.branding.accent):
        yield "branding.accent", "Must be #rrggbb in lower case, or empty"


def _refused(check_one: Callable[..., object], *arguments: object, **options: object) -> tuple[tuple[str, str], ...]:
    """What a check says that raises ValidationError."""
    try:
        check_one(*arguments, **options)
    except ValidationError as error:
        return tuple((field, str(text)) for field, text in error.details)  # only consoles show it, in English
    return ()


def _wrong_with_origin(origin: str) -> str:
    """What is wrong with it as the value of an ``Origin`` header (RFC 6454, section 6.2); empty: nothing."""
    parts = ORIGIN.match(origin)
    if parts is None:
        return "Must be scheme://host[:port], lower case"
    scheme, host, port = parts.groups()
    if port and (int(port) > 65535 or int(port) == _IMPLIED[scheme]):
        return f"Must have a port up to 65535, and none where it is {_IMPLIED[scheme]}, which browsers leave out"
    if scheme == "http" and not is_loopback_host(host.strip("[]")):
        return "Must begin with https://, except on this machine (localhost, 127.0.0.1, [::1])"
    return ""


def check_lengths(sessions: SessionLengths, most: Lengths, under: str = "") -> None:
    """Raises ValidationError for each length above the installation's (``most``)."""
    lengths = zip(_LENGTHS, _seconds(sessions), most, strict=True)
    wrong = [
        (f"{under}sessions.{name}", f"Must be at most {limit}") for name, seconds, limit in lengths if seconds > limit
    ]
    if wrong:
        raise ValidationError(details=wrong)


def _seconds(sessions: SessionLengths) -> tuple[int, int, int]:
    return sessions.idle_seconds, sessions.max_seconds, sessions.refresh_seconds


def admin_only_members(before: TenantSettings, after: TenantSettings) -> list[str]:
    """The changed members that only an Admin may change so: they weaken the protection of Admins' own accounts, or
    decide whether Admins can sign in with a password."""
    return [leaf.name for leaf in LEAVES if leaf.rule.weaker(leaf.change(before, after))]
