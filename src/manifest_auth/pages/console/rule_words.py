"""What a change of a client's rules does, in words, before it is saved."""

from __future__ import annotations

from collections.abc import Iterator

from manifest_auth.operations.rule_effects import Effects
from manifest_auth.pages.console import badge_rules, device_rules, factor_rules
from manifest_auth.pages.console.durations import spoken
from manifest_auth.tenants import StoredSettings


def changes(old: StoredSettings, new: StoredSettings, effects: Effects) -> Iterator[str]:
    """A sentence for each; none where nothing changes."""
    yield from _passwords(old, new, effects)
    yield from factor_rules.changes(old, new, effects)
    yield from device_rules.changes(old, new)
    yield from badge_rules.changes(old, new)
    yield from _sessions(old, new, effects)
    yield from _listed("origin", old.allowed_origins, new.allowed_origins)
    yield from _listed("return address", old.return_addresses, new.return_addresses)
    yield from _confirmed(old, new)
    if old.refresh_strict != new.refresh_strict:
        yield (
            "A refresh token dies as soon as its successor is given." if new.refresh_strict
            else "A refresh token that is used twice within moments no longer ends the session."
        )  # fmt: skip
    if old.contact != new.contact:
        yield (
            f"Users who need help are shown: {new.contact}" if new.contact else "Users are no longer shown whom to ask."
        )
    if old.language != new.language:
        yield f"Pages and e-mails are in another language where nothing else says which: {new.language}."


def _passwords(old: StoredSettings, new: StoredSettings, effects: Effects) -> Iterator[str]:
    was, now = old.password, new.password
    if was.min_length != now.min_length:
        yield (
            f"New passwords have at least {now.min_length} characters, not {was.min_length}. Passwords that are set "
            "stay as they are."
        )
    if was.character_classes != now.character_classes:
        yield (
            f"New passwords need {now.character_classes} of: lower case, upper case, digits, others."
            if now.character_classes else "New passwords may be of any kind of characters."
        )  # fmt: skip
    if was.history != now.history:
        yield (
            f"A new password must differ from the last {now.history}." if now.history
            else "Former passwords may be used again."
        )  # fmt: skip
    if was.max_age_days != now.max_age_days:
        yield (
            f"A change is due after {now.max_age_days} days: {_people(effects.due)} asked for one at the next sign-in."
            if now.max_age_days else "Passwords have no age any more."
        )  # fmt: skip
    if old.password_sign_in and not new.password_sign_in:
        yield (
            f"No one gets in with a password any more: {_people(effects.with_password)} left to the providers. Be "
            "sure that an Admin gets in through one."
        )
    elif new.password_sign_in and not old.password_sign_in:
        yield "Users get in with a password again."


def _people(number: int) -> str:
    return f"{number} {'user is' if number == 1 else 'users are'}"


def _sessions(old: StoredSettings, new: StoredSettings, effects: Effects) -> Iterator[str]:
    was, now = old.sessions, new.sessions
    usual = "as long as this installation allows"
    if was.idle_seconds != now.idle_seconds:
        yield f"A browser that is not used is signed out after {spoken(now.idle_seconds) or usual}."
    if was.max_seconds != now.max_seconds:
        ended = (
            f" {effects.sessions_ended} open {'session is' if effects.sessions_ended == 1 else 'sessions are'} older "
            "and ends at once." if effects.sessions_ended else ""
        )  # fmt: skip
        yield f"A session ends {spoken(now.max_seconds) or usual} after its sign-in, whatever its use.{ended}"
    if was.refresh_seconds != now.refresh_seconds:
        yield f"An application stays signed in without use for {spoken(now.refresh_seconds) or usual}."


def _listed(what: str, was: tuple[str, ...], now: tuple[str, ...]) -> Iterator[str]:
    for one in now:
        if one not in was:
            yield f"New {what}: {one}"
    for one in was:
        if one not in now:
            yield f"No {what} any more: {one}"
    if was != now and set(was) == set(now):
        yield f"The {what}es are in another order." if what.endswith("s") else f"The {what}s are in another order."


def _confirmed(old: StoredSettings, new: StoredSettings) -> Iterator[str]:
    was = (*old.unconfirmed.allowed_origins, *old.unconfirmed.return_addresses)
    listed = {*new.allowed_origins, *new.return_addresses}
    waiting = {*new.unconfirmed.allowed_origins, *new.unconfirmed.return_addresses}
    for one in was:
        if one in listed and one not in waiting:
            yield f"You confirm {one}: it counts for Admins too."
    for one in sorted(waiting - set(was)):
        yield f"Until an Admin confirms it, {one} counts for no Admin."
