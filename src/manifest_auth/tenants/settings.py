"""A client's settings, as stored, and partial changes to them.

Members that a change leaves out stay, so no request can remove a rule by not knowing it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta

from manifest_auth.permissions import Role, mask_of, role_names
from manifest_auth.runtime.settings import DAY
from manifest_auth.tenants import rules
from manifest_auth.tenants.rules import BadgeRules, Change, PairingRules, Rule
from manifest_auth.text import fields
from manifest_auth.text.canonical import spoken_duration
from manifest_auth.text.languages import NAMES, Language
from manifest_auth.text.models import ORIGIN, RETURN_ADDRESS, matching

S = TypeVar("S", bound=msgspec.Struct)
#: Members without a rule are set on pages of their own.
BrandName = Annotated[str, fields.BRAND_NAME.meta]
ACCENT = re.compile(r"#[0-9a-f]{6}\Z")
Accent = Annotated[
    str,
    Meta(
        max_length=7,
        description="Colour of pages, `#rrggbb` in lower case; empty: the default.",
        extra_json_schema=matching(ACCENT, empty=True),
    ),
]


#: The least length of a session, where it is not 0.
LEAST_S = 300
_NONE_OR_MORE = {"not": {"exclusiveMinimum": 0, "exclusiveMaximum": LEAST_S}}


def _people(number: int) -> str:
    return f"{number} {'user is' if number == 1 else 'users are'}"


def _admins(change: Change) -> str:
    """The effect of a change on Admins, where none of them can sign in after it."""
    return "No Admin can sign in any longer: no provider that is on reaches Admins." * change.effects.locks_admins_out


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


MinLength = Annotated[
    int,
    Meta(ge=8, le=64, description="Minimum number of characters."),
    Rule(
        "passwords",
        "Least length",
        hint="{low} to {high} characters.",
        weaker=rules.lower,
        said=lambda c: (
            f"New passwords have at least {c.now} characters, not {c.was}. Passwords that are set stay as they are."
        ),
    ),
]
CharacterClasses = Annotated[
    int,
    Meta(ge=0, le=4, description="How many of lower case, upper case, digit and other are needed; 0: any."),
    Rule(
        "passwords",
        "Kinds of characters",
        hint="Lower case, upper case, digits, others.",
        weaker=rules.lower,
        choices=((0, "Any"), (1, "1 of 4"), (2, "2 of 4"), (3, "3 of 4"), (4, "All 4")),
        said=lambda c: (
            f"New passwords need {c.now} of: lower case, upper case, digits, others."
            if c.now
            else "New passwords may be of any kind of characters."
        ),
    ),
]
History = Annotated[
    int,
    Meta(ge=0, le=24, description="Number of former passwords that cannot be used again."),
    Rule(
        "passwords",
        "Former passwords that may not come back",
        hint="{low} to {high}.",
        weaker=rules.lower,
        said=lambda c: (
            f"A new password must differ from the last {c.now}." if c.now else "Former passwords may be used again."
        ),
    ),
]
MaxAgeDays = Annotated[
    int,
    Meta(ge=0, le=3650, description="Days after which sign-in reports that a change is due; 0: never."),
    Rule(
        "passwords",
        "Days until a change is due",
        hint="0: never, which is what NIST advises.",
        weaker=rules.longer,
        said=lambda c: (
            f"A change is due after {c.now} days: {_people(c.effects.due)} asked for one at the next sign-in."
            if c.now
            else "Passwords have no age any more."
        ),
    ),
]
PasswordSignIn = Annotated[
    bool,
    Meta(description="Whether users may sign in with a password; `false`: only with single sign-on."),
    Rule(
        "passwords",
        "People sign in with a password",
        hint="Off: providers alone let people in.",
        weaker=rules.changed,
        said=lambda c: (
            "Users get in with a password again."
            if c.now
            else f"No one gets in with a password any more: {_people(c.effects.with_password)} left to the providers. "
            f"{_admins(c) or 'Be sure that an Admin gets in through one.'}"
        ),
    ),
]
RequiredOf = Annotated[
    Literal["off", "optional", "required", "roles"],
    Meta(
        description="`off`: no one enrols a second factor, those who have one are still asked; `optional`: users may "
        "have one; `required`: all must; `roles`: those with one of `roles` must."
    ),
    Rule(
        "factors",
        "Who must have one",
        hint="Users who have a factor are always asked for it.",
        choices=(
            ("off", "None: no one sets one up"),
            ("optional", "Users may have one"),
            ("roles", "Users with these roles must have one"),
            ("required", "Every user must have one"),
        ),
        weaker=lambda c: _STRENGTH[c.now] < _STRENGTH[c.was],
        said=lambda c: _policy(c),
    ),
]
FactorRoles = Annotated[
    tuple[Role, ...],
    Meta(max_length=7, description="For the policy `roles`."),
    Rule(
        "factors",
        "These roles",
        box=lambda _, role: f"role{role.replace(' ', '')}",
        weaker=lambda c: bool({*c.was} - {*c.now}) and "roles" in _policies(c),
        said=lambda c: _policy(c) if _policies(c) == {"roles"} else (),
    ),
]
FactorMethods = Annotated[
    tuple[Literal["totp", "passkey"], ...],
    Meta(min_length=1, max_length=2, description="Factors that users may enrol."),
    Rule(
        "factors",
        "What may be set up",
        choices=(("totp", "Authenticator app"), ("passkey", "Passkey")),
        weaker=lambda c: "totp" in {*c.now} - {*c.was} or "passkey" in {*c.was} - {*c.now},
        said=lambda c: (
            f"New second factors are {' and '.join(_METHODS[one] for one in c.now)}. Those that users have still count."
        ),
    ),
]
GraceDays = Annotated[
    int,
    Meta(ge=0, le=30, description="Days until a due enrolment is part of sign-in; 0 for Admin and User Admin."),
    Rule(
        "factors",
        "Days to put it off",
        hint="{low} to {high}, from the first sign-in that finds one due. Admins and User Admins have none.",
        said=lambda c: (
            f"Users may put off a due second factor for {_days(c.now)}, Admins and User Admins excepted."
            if c.now
            else "Users set up a second factor that is due at their next sign-in."
        ),
    ),
]
TrustedDays = Annotated[
    int,
    Meta(ge=0, le=90, description="Days for which a user may trust a browser; 0: sign-in always asks."),
    Rule(
        "factors",
        "Days for which a browser may be trusted",
        hint="{low} to {high}. 0: each sign-in asks.",
        weaker=rules.higher,
        said=lambda c: _trust(c),
    ),
]
PasskeySignIn = Annotated[
    bool | None,
    Meta(description="Whether a passkey alone signs in; `null`: where `passwordSignIn` is on."),
    Rule(
        "factors",
        "A passkey alone signs in",
        hint="It is two factors in one. Where your provider decides who comes in, it would pass that by.",
        choices=((None, "Where passwords do"), (True, "Always"), (False, "Never")),
        weaker=rules.changed,
        said=lambda c: (
            "A passkey alone signs in."
            if (c.new.password_sign_in if c.now is None else c.now)
            else f"A passkey alone signs no one in; beside a password it stays a second factor. {_admins(c)}".rstrip()
        ),
    ),
]
StepUp = Annotated[
    Literal["factors", "management"],
    Meta(
        description="Which acts need a proof of the last ten minutes: changes of one's own ways to sign in, or the "
        "management of users, providers and rules as well."
    ),
    Rule(
        "factors",
        "What asks for a recent proof",
        hint="Of the last ten minutes, so that a stolen session does less.",
        choices=(
            ("factors", "Changes of one\u2019s own ways in, and of anyone\u2019s e-mail address"),
            ("management", "Those, and management"),
        ),
        weaker=lambda c: c.was == "management" and c.now == "factors",
        said=lambda c: (
            "Management of users, providers and rules asks for a proof of the last ten minutes too."
            if c.now == "management"
            else "Management asks for no recent proof any more, but to reset factors and change e-mail addresses."
        ),
    ),
]
IdleSeconds = Annotated[
    int,
    Meta(
        ge=0,
        le=400 * DAY,
        description="A session cookie expires after so many seconds without use.",
        extra_json_schema=_NONE_OR_MORE,
    ),
    Rule(
        "sessions",
        "Without use",
        hint="A browser.",
        weaker=rules.longer,
        is_length=True,
        said=lambda c: f"A browser that is not used is signed out after {spoken_duration(c.now) or _USUAL}.",
    ),
]
MaxSeconds = Annotated[
    int,
    Meta(
        ge=0,
        le=400 * DAY,
        description="A session ends after so many seconds, even in use.",
        extra_json_schema=_NONE_OR_MORE,
    ),
    Rule(
        "sessions",
        "In all",
        hint="Whatever its use.",
        weaker=rules.longer,
        is_length=True,
        said=lambda c: (
            f"A session ends {spoken_duration(c.now) or _USUAL} after its sign-in, whatever its use.{_ended(c)}"
        ),
    ),
]
RefreshSeconds = Annotated[
    int,
    Meta(ge=0, le=400 * DAY, description="Lifetime of a refresh token, seconds.", extra_json_schema=_NONE_OR_MORE),
    Rule(
        "sessions",
        "An application without use",
        hint="A refresh token.",
        weaker=rules.longer,
        is_length=True,
        said=lambda c: f"An application stays signed in without use for {spoken_duration(c.now) or _USUAL}.",
    ),
]
RefreshStrict = Annotated[
    bool,
    Meta(description="A refresh token becomes invalid as soon as its successor is issued."),
    Rule(
        "sessions",
        "A refresh token dies as soon as its successor is given",
        weaker=rules.turned_off,
        hint="Stricter: an application whose answer got lost signs in again.",
        said=lambda c: (
            "A refresh token dies as soon as its successor is given."
            if c.now
            else "A refresh token that is used twice within moments no longer ends the session."
        ),
    ),
]
AllowedOrigins = Annotated[
    tuple[Annotated[str, Meta(max_length=300, extra_json_schema=ORIGIN)], ...],
    Meta(
        max_length=50,
        description="Origins whose pages may read answers (CORS), and may send requests with the session cookie.",
    ),
    Rule(
        "addresses",
        "Origins, one on each line",
        said=lambda c: _listed("origin", c.was, c.now),
        hint="Sites whose pages may act with a signed-in session, like https://app.acme.example",
    ),
]
ReturnAddresses = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=2000, extra_json_schema=RETURN_ADDRESS)], ...],
    Meta(
        max_length=50,
        description="Where a sign-in through a provider may return to: exact addresses, including those of apps.",
    ),
    Rule(
        "addresses",
        "Return addresses, one on each line",
        said=lambda c: _listed("return address", c.was, c.now),
        hint="Where a sign-in may end, letter by letter, like https://app.acme.example/welcome or an app\u2019s own "
        "com.acme.app:/done.",
    ),
]
Contact = Annotated[
    str,
    fields.CONTACT.meta,
    Rule(
        "words",
        "Whom users ask for help",
        hint=f"A line of plain text on pages where someone cannot get in, up to {fields.CONTACT.most} characters.",
        said=lambda c: f"Users who need help are shown: {c.now}" if c.now else "Users are no longer shown whom to ask.",
    ),
]
DefaultLanguage = Annotated[
    Language,
    Meta(description="Default language of pages and e-mails."),
    Rule(
        "words",
        "Language",
        hint="Where neither the reader nor the browser says which.",
        choices=tuple(NAMES.items()),
        said=lambda c: f"Pages and e-mails are in another language where nothing else says which: {c.now}.",
    ),
]

_STRENGTH = {"off": 0, "optional": 1, "roles": 2, "required": 3}
_METHODS = {"totp": "authenticator apps", "passkey": "passkeys"}
_USUAL = "as long as this installation allows"


def _policies(change: Change) -> set[str]:
    return {change.old.second_factor.policy, change.new.second_factor.policy}


def _policy(change: Change) -> str:
    policy, named = change.new.second_factor, ", ".join(role_names(mask_of(list(change.new.second_factor.roles))))
    said = {
        "off": "No one sets up a second factor any more. Those who have one are still asked for it.",
        "optional": "Users may have a second factor, and none must.",
        "required": "Every user must have a second factor.",
        "roles": f"Users with one of these roles must have a second factor: {named}.",
    }[policy.policy]
    count, days = change.effects.to_enrol, policy.grace_days
    if not count:
        return said
    later = f" They may put it off for {_days(days)}, Admins and User Admins excepted." if days else ""
    who = "1 person" if count == 1 else f"{count} people"
    return f"{said} {who} will be asked to set up a second factor at their next sign-in.{later}"


def _trust(change: Change) -> str:
    if change.now > change.was:
        return f"A browser that is trusted from now on stays so for {_days(change.now)}."
    said = f"A browser stays trusted for {_days(change.now)}" if change.now else "No browser is trusted any more"
    ended = change.effects.trust_ended
    if not ended:
        return f"{said}."
    return f"{said}: {ended} {'browser is' if ended == 1 else 'browsers are'} asked for the second factor again."


def _ended(change: Change) -> str:
    ended = change.effects.sessions_ended
    if not ended:
        return ""
    return f" {ended} open {'session is' if ended == 1 else 'sessions are'} older and ends at once."


def _listed(what: str, was: tuple[str, ...], now: tuple[str, ...]) -> Iterator[str]:
    yield from (f"New {what}: {one}" for one in now if one not in was)
    yield from (f"No {what} any more: {one}" for one in was if one not in now)
    if set(was) == set(now):
        yield f"The {what}es are in another order." if what.endswith("s") else f"The {what}s are in another order."


class PasswordRules(msgspec.Struct, frozen=True, rename="camel"):
    """A client's rules for new passwords."""

    min_length: MinLength = 15
    character_classes: CharacterClasses = 0
    history: History = 0
    max_age_days: MaxAgeDays = 0


class SessionLengths(msgspec.Struct, frozen=True, rename="camel"):
    """The lifetimes of the client's sessions, seconds: 0 for the installation's value, else from 300 up to that
    value."""

    idle_seconds: IdleSeconds = 0
    max_seconds: MaxSeconds = 0
    refresh_seconds: RefreshSeconds = 0


class Branding(msgspec.Struct, frozen=True, rename="camel"):
    """A client's branding, except its logo."""

    name: BrandName = ""
    accent: Accent = ""


class SecondFactorPolicy(msgspec.Struct, frozen=True, rename="camel"):
    """The policy for second factors: users and methods."""

    policy: RequiredOf = "optional"
    roles: FactorRoles = ()
    methods: FactorMethods = ("totp", "passkey")
    grace_days: GraceDays = 7
    trusted_days: TrustedDays = 30


class TenantSettings(msgspec.Struct, frozen=True, rename="camel"):
    """A client's settings."""

    refresh_strict: RefreshStrict = False
    allowed_origins: AllowedOrigins = ()
    return_addresses: ReturnAddresses = ()
    password_sign_in: PasswordSignIn = True
    password: PasswordRules = PasswordRules()
    sessions: SessionLengths = SessionLengths()
    contact: Contact = ""
    language: DefaultLanguage = "en"
    branding: Branding = Branding()
    second_factor: SecondFactorPolicy = SecondFactorPolicy()
    passkey_sign_in: PasskeySignIn = None
    step_up: StepUp = "factors"
    pairing: PairingRules = PairingRules()
    badge: BadgeRules = BadgeRules()


class Unconfirmed(msgspec.Struct, frozen=True, rename="camel"):
    """Origins and return addresses that a User Admin added. They are not valid for Admins until an Admin saves the
    list."""

    allowed_origins: tuple[str, ...] = ()
    return_addresses: tuple[str, ...] = ()


class StoredSettings(TenantSettings, frozen=True, rename="camel"):
    """:class:`TenantSettings` as stored, with the entries that no Admin has saved."""

    unconfirmed: Unconfirmed = Unconfirmed()


if TYPE_CHECKING:

    class BrandingChange(Branding, frozen=True):
        """A change of :class:`Branding`."""

    class TenantSettingsChange(TenantSettings, frozen=True):
        """A change of :class:`TenantSettings`."""

else:
    BrandingChange = rules.change_of(Branding)
    #: What was read may be sent back; ``unconfirmed`` changes nothing then.
    TenantSettingsChange = rules.change_of(TenantSettings, READ_ONLY=frozenset({"unconfirmed"}))

#: Every rule, in the order of the settings.
LEAVES = tuple(rules.leaves(TenantSettings))


def merge(settings: S, change: msgspec.Struct) -> S:
    """The settings with the change applied."""
    given = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
    for name, value in given.items():
        if isinstance(value, msgspec.Struct):
            given[name] = merge(getattr(settings, name), value)
    return msgspec.structs.replace(settings, **given)


@lru_cache(maxsize=1024)
def settings_of(text: str) -> StoredSettings:
    """The settings of a stored text."""
    return msgspec.json.decode(text, type=StoredSettings)
