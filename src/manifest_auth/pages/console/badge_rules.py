"""Badges among a client's rules: the part of the form, and what a change of it does, in words."""

from __future__ import annotations

from collections.abc import Iterator

from manifest_auth.pages.console.device_rules import DeviceForm
from manifest_auth.tenants import StoredSettings

#: Numbers of the form, by the names of their fields.
NUMBERS = ("badge.pinLength", "badge.hours", "badge.idleMinutes")
_MEMBERS = {
    "badge_enabled": "badge.enabled",
    "pin_length": "badge.pinLength",
    "badge_hours": "badge.hours",
    "idle_minutes": "badge.idleMinutes",
}


class BadgeRulesForm(DeviceForm, frozen=True, rename=_MEMBERS, kw_only=True):
    """As it is typed."""

    badge_enabled: str = ""
    pin_length: str = ""
    badge_hours: str = ""
    idle_minutes: str = ""


def typed_of(stored: StoredSettings) -> dict[str, str]:
    """The part of the form that says what is stored, by the members of :class:`BadgeRulesForm`."""
    rules = stored.badge
    return {
        "badge_enabled": "on" if rules.enabled else "",
        "pin_length": str(rules.pin_length),
        "badge_hours": str(rules.hours),
        "idle_minutes": str(rules.idle_minutes),
    }


def asked(form: BadgeRulesForm) -> dict[str, bool]:
    """The settings that the form asks for, but for its numbers."""
    return {"badge.enabled": bool(form.badge_enabled)}


def changes(old: StoredSettings, new: StoredSettings) -> Iterator[str]:
    """A sentence for each; none where nothing changes."""
    was, now = old.badge, new.badge
    if was.enabled != now.enabled:
        yield (
            "Operators and Viewers sign in on enrolled devices with a badge and a PIN." if now.enabled
            else "No one signs in with a badge any more. Who is signed in so stays until the shift ends."
        )  # fmt: skip
    if was.pin_length != now.pin_length:
        yield f"New PINs have at least {now.pin_length} digits. PINs that are set stay as they are."
    if was.hours != now.hours:
        yield f"A sign-in by badge ends after {_count(now.hours, 'hour')}, whatever its use."
    if was.idle_minutes != now.idle_minutes:
        yield f"A sign-in by badge ends after {_count(now.idle_minutes, 'minute')} without use."


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
