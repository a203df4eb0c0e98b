"""Second factors among a client's rules: the part of the form, and what a change of it does, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from manifest_auth import tenants
from manifest_auth.operations.rule_effects import Effects
from manifest_auth.pages.console.roles import RoleBox, RolesForm, boxes
from manifest_auth.permissions import mask_of, role_names
from manifest_auth.tenants import StoredSettings

POLICIES = (
    ("off", "None: no one sets one up"),
    ("optional", "Users may have one"),
    ("roles", "Users with these roles must have one"),
    ("required", "Every user must have one"),
)
PASSKEY_SIGN_IN = (("", "Where passwords do"), ("on", "Always"), ("off", "Never"))
STEP_UPS = (
    ("factors", "Changes of one’s own ways in, and of anyone’s e-mail address"),
    ("management", "Those, and management"),
)
_METHODS = {"totp": "authenticator apps", "passkey": "passkeys"}
_MEMBERS = {
    "factor_policy": "secondFactor.policy",
    "with_totp": "secondFactor.methods.totp",
    "with_passkey": "secondFactor.methods.passkey",
    "grace_days": "secondFactor.graceDays",
    "trusted_days": "secondFactor.trustedDays",
    "passkey_sign_in": "passkeySignIn",
    "step_up": "stepUp",
}
_AS_SAID: dict[bool | None, str] = {None: "", True: "on", False: "off"}


class FactorForm(RolesForm, frozen=True, rename=_MEMBERS, kw_only=True):
    """As it is typed. The boxes of roles are for the policy ``roles``."""

    factor_policy: str = ""
    with_totp: str = ""
    with_passkey: str = ""
    grace_days: str = ""
    trusted_days: str = ""
    passkey_sign_in: str = ""
    step_up: str = ""

    @property
    def role_boxes(self) -> tuple[RoleBox, ...]:
        return boxes(self.roles, admin=True)


def typed_of(stored: StoredSettings) -> dict[str, str]:
    """The part of the form that says what is stored, by the members of :class:`FactorForm`."""
    rules = stored.second_factor
    return {
        "factor_policy": rules.policy,
        "with_totp": "on" if "totp" in rules.methods else "",
        "with_passkey": "on" if "passkey" in rules.methods else "",
        "grace_days": str(rules.grace_days),
        "trusted_days": str(rules.trusted_days),
        "passkey_sign_in": _AS_SAID[stored.passkey_sign_in],
        "step_up": stored.step_up,
        **{f"role_{role.name.lower()}": "on" for role in rules.roles},
    }


def asked(form: FactorForm, old: StoredSettings, *, by_admin: bool) -> dict[str, Any]:
    """The settings that the form asks for, but for its numbers. A list that has the same members stays as it is."""
    rules, methods = old.second_factor, {"totp": form.with_totp, "passkey": form.with_passkey}
    found: dict[str, Any] = {
        "secondFactor.policy": form.factor_policy,
        "secondFactor.roles": _list(role_names(form.roles), [role.value for role in rules.roles]),
        "secondFactor.methods": _list([name for name, ticked in methods.items() if ticked], rules.methods),
        "stepUp": form.step_up,
    }
    if by_admin:
        found["passkeySignIn"] = {said: value for value, said in _AS_SAID.items()}.get(
            form.passkey_sign_in, form.passkey_sign_in
        )
    return found


def _list(ticked: Iterable[str], stored: Iterable[str]) -> list[str]:
    wanted, before = list(ticked), list(stored)
    return before if set(wanted) == set(before) else wanted


def changes(old: StoredSettings, new: StoredSettings, effects: Effects) -> Iterator[str]:
    """A sentence for each; none where nothing changes."""
    was, now = old.second_factor, new.second_factor
    if (was.policy, was.roles) != (now.policy, now.roles) and not (was.policy == now.policy and now.policy != "roles"):
        yield f"{_policy(new)}{_to_enrol(new, effects)}"
    if was.methods != now.methods:
        named = " and ".join(_METHODS[name] for name in now.methods)
        yield f"New second factors are {named}. Those that users have still count."
    if was.grace_days != now.grace_days:
        yield (
            f"Users may put off a due second factor for {_days(now.grace_days)}, Admins and User Admins excepted."
            if now.grace_days else "Users set up a second factor that is due at their next sign-in."
        )  # fmt: skip
    if was.trusted_days < now.trusted_days:
        yield f"A browser that is trusted from now on stays so for {_days(now.trusted_days)}."
    elif was.trusted_days != now.trusted_days:
        yield (
            f"A browser stays trusted for {_days(now.trusted_days)}" if now.trusted_days
            else "No browser is trusted any more"
        ) + _trust(effects.trust_ended)  # fmt: skip
    if old.passkey_sign_in != new.passkey_sign_in:
        yield (
            "A passkey alone signs in." if tenants.passkeys_sign_in(new)
            else "A passkey alone signs no one in; beside a password it stays a second factor."
        )  # fmt: skip
    if old.step_up != new.step_up:
        yield (
            "Management of users, providers and rules asks for a proof of the last ten minutes too."
            if new.step_up == "management"
            else "Management asks for no recent proof any more, but to reset factors and change e-mail addresses."
        )  # fmt: skip


def _policy(new: StoredSettings) -> str:
    rules = new.second_factor
    named = ", ".join(role_names(mask_of(list(rules.roles))))
    return {
        "off": "No one sets up a second factor any more. Those who have one are still asked for it.",
        "optional": "Users may have a second factor, and none must.",
        "required": "Every user must have a second factor.",
        "roles": f"Users with one of these roles must have a second factor: {named}.",
    }[rules.policy]


def _to_enrol(new: StoredSettings, effects: Effects) -> str:
    count, days = effects.to_enrol, new.second_factor.grace_days
    if not count:
        return ""
    later = f" They may put it off for {_days(days)}, Admins and User Admins excepted." if days else ""
    who = "1 person" if count == 1 else f"{count} people"
    return f" {who} will be asked to set up a second factor at their next sign-in.{later}"


def _trust(ended: int) -> str:
    if not ended:
        return "."
    return f": {ended} {'browser is' if ended == 1 else 'browsers are'} asked for the second factor again."


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"
