"""A client's rules in words, to be read."""

from __future__ import annotations

from collections.abc import Iterator

from manifest_auth.pages import languages
from manifest_auth.pages.console import durations
from manifest_auth.tenants import StoredSettings


def rules_of(settings: StoredSettings) -> Iterator[tuple[str, tuple[str, ...]]]:
    """For each rule: what it is about, and its text in one or more lines."""
    rules, lengths = settings.password, settings.sessions
    yield "Sign-in with a password", ("Allowed" if settings.password_sign_in else "Only through a provider",)
    password = [f"At least {rules.min_length} characters"]
    if rules.character_classes:
        password.append(f"{_many(rules.character_classes, 'kind')} of characters")
    if rules.history:
        password.append(f"None of the last {rules.history}")
    if rules.max_age_days:
        password.append(f"A new one every {_many(rules.max_age_days, 'day')}")
    yield "New passwords", tuple(password)
    yield "A session without use ends after", (_length(lengths.idle_seconds),)
    yield "A session ends after", (_length(lengths.max_seconds),)
    yield "A refresh token ends after", (_length(lengths.refresh_seconds),)
    yield "A refresh token works twice", ("No" if settings.refresh_strict else "For a moment, when answers get lost",)
    yield "Sites that may use its cookie", _marked(settings.allowed_origins, settings.unconfirmed.allowed_origins)
    yield "Where sign-in may lead", _marked(settings.return_addresses, settings.unconfirmed.return_addresses)
    yield "Who helps its users", (settings.contact or "Not said",)
    yield "Language", (languages.LANGUAGES[settings.language],)
    yield "Name on pages", (settings.branding.name or "The client's own",)
    yield "Colour of pages", (settings.branding.accent or "Manifest's own",)


def _marked(listed: tuple[str, ...], unconfirmed: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{one} (not for Admins yet)" if one in unconfirmed else one for one in listed) or ("None listed",)


def _length(seconds: int) -> str:
    return durations.spoken(seconds) or "What this server has for all"


def _many(number: int, name: str) -> str:
    return f"{number} {name if number == 1 else name + 's'}"
