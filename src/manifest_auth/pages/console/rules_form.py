"""The form of a client's rules, for its own Admin and User Admin and for system admins.

A change is shown in words before it is saved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from manifest_auth import tenants
from manifest_auth.accounts import rank
from manifest_auth.errors import ValidationError
from manifest_auth.operations import client_settings, rule_effects
from manifest_auth.pages.console import badge_rules, device_rules, factor_rules, rule_words
from manifest_auth.pages.console.badge_rules import BadgeRulesForm
from manifest_auth.pages.console.durations import seconds_of, spoken
from manifest_auth.pages.languages import LANGUAGES
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import StoredSettings, TenantSettingsChange
from manifest_auth.text.models import convert

DONE = {"saved": "The rules are saved. They count from now on."}
#: Members of the settings that are numbers, and lengths of time, by the names of their fields.
_NUMBERS = (
    "password.minLength", "password.characterClasses", "password.history", "password.maxAgeDays",
    "secondFactor.graceDays", "secondFactor.trustedDays", *device_rules.NUMBERS, *badge_rules.NUMBERS,
)  # fmt: skip
_LENGTHS = ("sessions.idleSeconds", "sessions.maxSeconds", "sessions.refreshSeconds")
_ADDRESSES = ("allowedOrigins", "returnAddresses")
_LISTS = (*_ADDRESSES, *device_rules.LISTS)
_MEMBERS = {
    "min_length": "password.minLength",
    "character_classes": "password.characterClasses",
    "history": "password.history",
    "max_age_days": "password.maxAgeDays",
    "password_sign_in": "passwordSignIn",
    "refresh_strict": "refreshStrict",
    "idle": "sessions.idleSeconds",
    "longest": "sessions.maxSeconds",
    "refresh": "sessions.refreshSeconds",
    "allowed_origins": "allowedOrigins",
    "return_addresses": "returnAddresses",
}


class RulesForm(BadgeRulesForm, frozen=True, rename=_MEMBERS, kw_only=True):
    """As it is typed: lengths in words, lists a line each. ``act``: ``preview`` or ``save``; ``confirm``: the addresses
    that wait for an Admin are confirmed."""

    act: str = ""
    min_length: str = ""
    character_classes: str = ""
    history: str = ""
    max_age_days: str = ""
    password_sign_in: str = ""
    refresh_strict: str = ""
    idle: str = ""
    longest: str = ""
    refresh: str = ""
    allowed_origins: str = ""
    return_addresses: str = ""
    contact: str = ""
    language: str = ""
    confirm: str = ""


class Limits(msgspec.Struct, frozen=True):
    """The installation's lengths in words, above which none is."""

    idle: str
    longest: str
    refresh: str


class RulesView(msgspec.Struct, frozen=True):
    """``changes``: what is to be saved does; None: nothing was asked to be shown. ``by_admin``: an Admin looks."""

    form: RulesForm
    by_admin: bool
    is_strict: bool
    has_passwords: bool
    waiting: tuple[str, ...]
    limits: Limits
    languages: tuple[tuple[str, str], ...]
    policies: tuple[tuple[str, str], ...] = factor_rules.POLICIES
    passkey_sign_ins: tuple[tuple[str, str], ...] = factor_rules.PASSKEY_SIGN_IN
    step_ups: tuple[tuple[str, str], ...] = factor_rules.STEP_UPS
    done: str = ""
    changes: tuple[str, ...] | None = None
    hidden: tuple[tuple[str, str], ...] = ()


async def act(ctx: RequestContext, form: RulesForm, client: Callable[[SystemUnit], int]) -> RulesView | None:
    """Previews or saves what was typed; the preview, None where it is saved. ``client``: the number of the client whose
    rules they are. Raises ValidationError, and Forbidden for a change that only an Admin may make."""
    store = ctx.services.store
    try:
        if form.act != "save":
            return await store.read(lambda unit: _preview(unit.of(client(unit)), ctx, form))
        await store.write(lambda unit: _save(unit, ctx, form, client(unit)))
    except ValidationError as refusal:
        raise ValidationError(details=[_of_a_line(*one) for one in refusal.details]) from refusal
    return None


def _of_a_line(field: str, text: str) -> tuple[str, str]:
    """A list is one field of the form: which of its lines is wrong stands in the text."""
    name, _, rest = field.partition("[")
    return (name, f"Line {int(rest.rstrip(']')) + 1}: {text}") if rest.rstrip("]").isdigit() else (field, text)


def _save(unit: SystemUnit, ctx: RequestContext, form: RulesForm, client: int) -> None:
    before = tenants.get(unit, client, lock=True)
    change = _change(form, tenants.settings_of(before.settings), _is_admin(unit.of(before.id), ctx))
    client_settings.change(unit, ctx, before, None, change)


def _preview(unit: TenantUnit, ctx: RequestContext, form: RulesForm) -> RulesView:
    old = _stored(unit)
    new = client_settings.checked(unit, ctx, old, _change(form, old, _is_admin(unit, ctx)))
    said = tuple(rule_words.changes(old, new, rule_effects.count(unit, ctx, old, new)))
    sent = tuple((name, text) for name, text in msgspec.to_builtins(form).items() if text and name != "act")
    return msgspec.structs.replace(view(unit, ctx, form), changes=said, hidden=sent)


def _stored(unit: TenantUnit) -> StoredSettings:
    return tenants.settings_of(tenants.get(unit, unit.tenant_id).settings)


def _is_admin(unit: TenantUnit, ctx: RequestContext) -> bool:
    return rank.manager(unit, ctx, Permission.SETTINGS_MANAGE).is_admin


def _change(form: RulesForm, old: StoredSettings, by_admin: bool) -> TenantSettingsChange:
    """What the form changes, and no member that it leaves as it is: to save a list that waits for an Admin would
    confirm it. The least length of passwords is always in it: what the form shows is never changed by implication.
    Raises ValidationError."""
    typed = msgspec.to_builtins(form)
    asked: dict[str, Any] = {name: _number(typed[name], name) for name in _NUMBERS}
    asked |= {name: seconds_of(typed[name], name) for name in _LENGTHS}
    asked |= {name: [one for line in typed[name].splitlines() if (one := line.strip())] for name in _LISTS}
    asked |= {"contact": form.contact.strip(), "language": form.language}
    asked |= factor_rules.asked(form, old, by_admin=by_admin) | device_rules.asked(form, old) | badge_rules.asked(form)
    asked["refreshStrict"] = bool(form.refresh_strict) or (old.refresh_strict and not by_admin)
    if by_admin:
        asked["passwordSignIn"] = bool(form.password_sign_in)
    stored = msgspec.to_builtins(old)
    given: dict[str, Any] = {"password": {"minLength": asked["password.minLength"]}}
    for name, value in asked.items():
        group, _, member = name.rpartition(".")
        waits = name in _ADDRESSES and bool(form.confirm) and by_admin and stored["unconfirmed"][name]
        if waits or _as_list(stored[group][member] if group else stored[name]) != value:
            (given.setdefault(group, {}) if group else given)[member] = value
    return convert(given, TenantSettingsChange)


def _as_list(value: Any) -> Any:
    """Lists of settings are tuples."""
    return list(value) if isinstance(value, tuple) else value


def _number(text: str, field: str) -> int:
    text = text.strip() or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValidationError(details=[(field, "Must be a number")])
    return int(text)


def view(unit: TenantUnit, ctx: RequestContext, typed: RulesForm | None, done: str = "") -> RulesView:
    """The rules of the unit's client, or what was typed in their place. ``done``: a sentence of :data:`DONE`."""
    stored, most = _stored(unit), tenants.installation_lengths(ctx.services.settings)
    return RulesView(
        form=typed or _form(stored),
        by_admin=_is_admin(unit, ctx),
        is_strict=stored.refresh_strict,
        has_passwords=stored.password_sign_in,
        waiting=(*stored.unconfirmed.allowed_origins, *stored.unconfirmed.return_addresses),
        limits=Limits(*map(spoken, most)),
        languages=tuple(LANGUAGES.items()),
        done=done,
    )


def _form(stored: StoredSettings) -> RulesForm:
    rules, lengths = stored.password, stored.sessions
    return RulesForm(
        min_length=str(rules.min_length),
        character_classes=str(rules.character_classes),
        history=str(rules.history),
        max_age_days=str(rules.max_age_days),
        password_sign_in="on" if stored.password_sign_in else "",
        refresh_strict="on" if stored.refresh_strict else "",
        idle=spoken(lengths.idle_seconds),
        longest=spoken(lengths.max_seconds),
        refresh=spoken(lengths.refresh_seconds),
        allowed_origins="\n".join(stored.allowed_origins),
        return_addresses="\n".join(stored.return_addresses),
        contact=stored.contact,
        language=stored.language,
        **factor_rules.typed_of(stored),
        **device_rules.typed_of(stored),
        **badge_rules.typed_of(stored),
    )
