"""A client's settings, as stored, and partial changes to them.

Members that a change omits stay, so a caller that doesn't know a rule can't remove it.
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
from manifest_auth.text.languages import NAMES, Language, several
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import ORIGIN, RETURN_ADDRESS, matching

S = TypeVar("S", bound=msgspec.Struct)
#: Members without a rule are set on pages of their own.
BrandName = Annotated[str, fields.BRAND_NAME.meta]
ACCENT = re.compile(r"#[0-9a-f]{6}\Z")
Accent = Annotated[
    str,
    Meta(
        max_length=7,
        description="Color of pages, `#rrggbb` in lowercase. Default: empty.",
        extra_json_schema=matching(ACCENT, empty=True),
    ),
]


#: The minimum length of a session, unless it is 0.
LEAST_S = 300
_NONE_OR_MORE = {"not": {"exclusiveMinimum": 0, "exclusiveMaximum": LEAST_S}}


def _admins(change: Change) -> Iterator[str]:
    """Yields the effect of a change on Admins, if none of them can sign in after it."""
    if change.effects.locks_admins_out:
        yield _("Admins can no longer sign in. No provider that is turned on accepts Admins.")


MinLength = Annotated[
    int,
    Meta(ge=8, le=64, description="Minimum number of characters."),
    Rule(
        "passwords",
        _("Minimum length"),
        hint=_("%(low)s to %(high)s characters"),
        weaker=rules.lower,
        said=lambda c: _(
            "New passwords need at least %(now)s characters (before: %(was)s). Existing passwords aren't affected.",
            now=c.now,
            was=c.was,
        ),
    ),
]
CharacterClasses = Annotated[
    int,
    Meta(ge=0, le=4, description="How many of these types are required: lowercase, uppercase, digits, others. 0: any."),
    Rule(
        "passwords",
        _("Character types"),
        hint=_("Lowercase, uppercase, digits, and other characters"),
        weaker=rules.lower,
        choices=((0, _("Any")), (1, _("1 of 4")), (2, _("2 of 4")), (3, _("3 of 4")), (4, _("All 4"))),
        said=lambda c: (
            _("New passwords need %(number)s of these: lowercase, uppercase, digits, other characters.", number=c.now)
            if c.now
            else _("New passwords can have any characters.")
        ),
    ),
]
History = Annotated[
    int,
    Meta(ge=0, le=24, description="Number of previous passwords that can't be reused."),
    Rule(
        "passwords",
        _("Password history"),
        hint=_("%(low)s to %(high)s. The number of previous passwords that can't be reused."),
        weaker=rules.lower,
        said=lambda c: (
            _("New passwords must differ from the last %(number)s.", number=c.now)
            if c.now
            else _("Previous passwords can be reused.")
        ),
    ),
]
MaxAgeDays = Annotated[
    int,
    Meta(ge=0, le=3650, description="Days after which a sign-in reports that the password must be changed. 0: never."),
    Rule(
        "passwords",
        _("Maximum password age (days)"),
        hint=_("0 means that passwords never expire. NIST recommends 0."),
        weaker=rules.longer,
        said=lambda c: (
            several(
                "Passwords expire after %(days)s days. At their next sign-in, %(number)d user must change it.",
                "Passwords expire after %(days)s days. At their next sign-in, %(number)d users must change it.",
                c.effects.due,
                days=c.now,
            )
            if c.now
            else _("Passwords no longer expire.")
        ),
    ),
]
PasswordSignIn = Annotated[
    bool,
    Meta(description="Whether users can sign in with a password. `false`: only with single sign-on."),
    Rule(
        "passwords",
        _("Allow sign-in with a password"),
        hint=_("If turned off, users can sign in only through providers."),
        weaker=rules.changed,
        said=lambda c: _passwords(c),
    ),
]
RequiredOf = Annotated[
    Literal["off", "optional", "required", "roles"],
    Meta(
        description="`off`: users can't set up a second factor, but those who have one must use it. "
        "`optional`: users can have one. `required`: all users must have one. `roles`: users "
        "with one of `roles` must have one."
    ),
    Rule(
        "factors",
        _("Required for"),
        hint=_("Users who have a second factor must always use it."),
        choices=(
            ("off", _("Turned off")),
            ("optional", _("Optional")),
            ("roles", _("Required for these roles")),
            ("required", _("Required for all users")),
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
        _("Roles"),
        box=lambda _, role: f"role{role.replace(' ', '')}",
        weaker=lambda c: bool({*c.was} - {*c.now}) and "roles" in _policies(c),
        said=lambda c: _policy(c) if _policies(c) == {"roles"} else (),
    ),
]
FactorMethods = Annotated[
    tuple[Literal["totp", "passkey"], ...],
    Meta(min_length=1, max_length=2, description="Second factors that users can set up."),
    Rule(
        "factors",
        _("Allowed methods"),
        choices=(("totp", _("Authenticator app")), ("passkey", _("Passkey"))),
        weaker=lambda c: "totp" in {*c.now} - {*c.was} or "passkey" in {*c.was} - {*c.now},
        said=lambda c: (
            _("Users can set up authenticator apps and passkeys.")
            if len(c.now) > 1
            else _("Users can set up only authenticator apps. Existing passkeys still work.")
            if "totp" in c.now
            else _("Users can set up only passkeys. Existing authenticator apps still work.")
        ),
    ),
]
GraceDays = Annotated[
    int,
    Meta(ge=0, le=30, description="Days until a required setup becomes part of sign-in. 0 for Admin and User Admin."),
    Rule(
        "factors",
        _("Grace period (days)"),
        hint=_("%(low)s to %(high)s days from the first sign-in. Admins and User Admins have no grace period."),
        said=lambda c: (
            several(
                "Users, except Admins and User Admins, can postpone a required second factor for %(number)d day.",
                "Users, except Admins and User Admins, can postpone a required second factor for %(number)d days.",
                c.now,
            )
            if c.now
            else _("Users must set up a required second factor at their next sign-in.")
        ),
    ),
]
TrustedDays = Annotated[
    int,
    Meta(
        ge=0,
        le=90,
        description="Days for which a user can trust a browser. 0: sign-in always requires the second factor.",
    ),
    Rule(
        "factors",
        _("Trusted browsers (days)"),
        hint=_("%(low)s to %(high)s. With 0, every sign-in requires the second factor."),
        weaker=rules.higher,
        said=lambda c: _trust(c),
    ),
]
PasskeySignIn = Annotated[
    bool | None,
    Meta(description="Whether users can sign in with only a passkey. `null`: if `passwordSignIn` is on."),
    Rule(
        "factors",
        _("Sign-in with only a passkey"),
        hint=_("A passkey counts as two factors. Sign-in with it bypasses your identity provider."),
        choices=((None, _("Allowed if passwords are allowed")), (True, _("Always allowed")), (False, _("Not allowed"))),
        weaker=rules.changed,
        said=lambda c: _passkeys(c),
    ),
]
StepUp = Annotated[
    Literal["factors", "management"],
    Meta(
        description="Actions that require re-authentication within the last 10 minutes. Either changes to "
        "your own sign-in methods, or also the management of users, providers, and settings."
    ),
    Rule(
        "factors",
        _("Require re-authentication for"),
        hint=_("Asked again if the last sign-in was more than 10 minutes ago."),
        choices=(
            ("factors", _("Changes to sign-in methods and email addresses")),
            ("management", _("These changes and all management actions")),
        ),
        weaker=lambda c: c.was == "management" and c.now == "factors",
        said=lambda c: (
            _("Managing users, providers, and settings also requires re-authentication.")
            if c.now == "management"
            else _("Most management actions no longer require re-authentication.")
        ),
    ),
]
IdleSeconds = Annotated[
    int,
    Meta(
        ge=0,
        le=400 * DAY,
        description="Seconds without use until a session cookie expires.",
        extra_json_schema=_NONE_OR_MORE,
    ),
    Rule(
        "sessions",
        _("Idle timeout"),
        hint=_("Unused browser sessions end after this time."),
        weaker=rules.longer,
        is_length=True,
        said=lambda c: (
            _("Unused browser sessions end after %(time)s.", time=spoken_duration(c.now))
            if c.now
            else _("Unused browser sessions end after this server's default time.")
        ),
    ),
]
MaxSeconds = Annotated[
    int,
    Meta(
        ge=0,
        le=400 * DAY,
        description="Seconds until a session ends, even if it is in use.",
        extra_json_schema=_NONE_OR_MORE,
    ),
    Rule(
        "sessions",
        _("Maximum session length"),
        hint=_("All sessions end after this time."),
        weaker=rules.longer,
        is_length=True,
        said=lambda c: _maximum(c),
    ),
]
RefreshSeconds = Annotated[
    int,
    Meta(ge=0, le=400 * DAY, description="Lifetime of a refresh token, seconds.", extra_json_schema=_NONE_OR_MORE),
    Rule(
        "sessions",
        _("App sessions"),
        hint=_("Lifetime of a refresh token. Unused apps are signed out after this time."),
        weaker=rules.longer,
        is_length=True,
        said=lambda c: (
            _("Unused apps are signed out after %(time)s.", time=spoken_duration(c.now))
            if c.now
            else _("Unused apps are signed out after this server's default time.")
        ),
    ),
]
RefreshStrict = Annotated[
    bool,
    Meta(description="A refresh token becomes invalid as soon as its successor is issued."),
    Rule(
        "sessions",
        _("Revoke a refresh token as soon as it's used"),
        weaker=rules.turned_off,
        hint=_("If an app loses the response, the user must sign in again."),
        said=lambda c: (
            _("Refresh tokens are revoked as soon as they're used.")
            if c.now
            else _("Using a refresh token twice in quick succession no longer ends the session.")
        ),
    ),
]
AllowedOrigins = Annotated[
    tuple[Annotated[str, Meta(max_length=300, extra_json_schema=ORIGIN)], ...],
    Meta(
        max_length=50,
        description="Origins whose pages can read responses (CORS), and can send requests with the session cookie.",
    ),
    Rule(
        "addresses",
        _("Allowed origins (optional)"),
        said=lambda c: _origins(c),
        hint=_("Sites that can use a user's session. One per line. For example, https://app.acme.example."),
    ),
]
ReturnAddresses = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=2000, extra_json_schema=RETURN_ADDRESS)], ...],
    Meta(
        max_length=50,
        description="URLs that a sign-in through a provider can return to: exact URLs, including those of apps.",
    ),
    Rule(
        "addresses",
        _("Redirect URIs (optional)"),
        said=lambda c: _addresses(c),
        hint=_("Exact addresses, one per line. For example, https://app.acme.example/welcome or com.acme.app:/done."),
    ),
]
Contact = Annotated[
    str,
    fields.CONTACT.meta,
    Rule(
        "words",
        _("Support contact (optional)"),
        hint=_("Shown to users who can't sign in. For example, it@acme.example."),
        said=lambda c: (
            _("Users who can't sign in see this contact: %(contact)s", contact=c.now)
            if c.now
            else _("Users no longer see a support contact.")
        ),
    ),
]
DefaultLanguage = Annotated[
    Language,
    Meta(description="Default language of pages and emails."),
    Rule(
        "words",
        _("Default language"),
        hint=_("Used if neither the user nor their browser selects a language."),
        choices=tuple(NAMES.items()),
        said=lambda c: _("The default language is %(language)s.", language=NAMES[c.now]),
    ),
]

_STRENGTH = {"off": 0, "optional": 1, "roles": 2, "required": 3}


def _policies(change: Change) -> set[str]:
    return {change.old.second_factor.policy, change.new.second_factor.policy}


def _policy(change: Change) -> Iterator[str]:
    policy, named = change.new.second_factor, ", ".join(role_names(mask_of(list(change.new.second_factor.roles))))
    yield {
        "off": _("Users can't set up second factors. Users who have one must still use it."),
        "optional": _("Second factors are optional."),
        "required": _("All users must have a second factor."),
        "roles": _("Users with these roles must have a second factor: %(roles)s.", roles=named),
    }[policy.policy]
    if count := change.effects.to_enrol:
        yield several(
            "%(number)d user must set up a second factor.", "%(number)d users must set up a second factor.", count
        )
        if days := policy.grace_days:
            yield several(
                "Users, except Admins and User Admins, can postpone it for %(number)d day.",
                "Users, except Admins and User Admins, can postpone it for %(number)d days.",
                days,
            )


def _passwords(change: Change) -> Iterator[str]:
    if change.now:
        yield _("Users can sign in with a password again.")
    else:
        yield several(
            "Nobody can sign in with a password. %(number)d user must use a provider.",
            "Nobody can sign in with a password. %(number)d users must use a provider.",
            change.effects.with_password,
        )
        yield from [*_admins(change)] or [_("Make sure that an Admin can sign in through a provider.")]


def _passkeys(change: Change) -> Iterator[str]:
    if change.new.password_sign_in if change.now is None else change.now:
        yield _("Users can sign in with only a passkey.")
    else:
        yield _("Users can't sign in with only a passkey. It still works as a second factor.")
        yield from _admins(change)


def _trust(change: Change) -> Iterator[str]:
    if change.now:
        yield several(
            "Browsers stay trusted for %(number)d day.", "Browsers stay trusted for %(number)d days.", change.now
        )
    else:
        yield _("Browsers are no longer trusted.")
    if ended := change.effects.trust_ended:
        yield several(
            "%(number)d trusted browser must use the second factor again.",
            "%(number)d trusted browsers must use the second factor again.",
            ended,
        )


def _maximum(change: Change) -> Iterator[str]:
    if change.now:
        yield _("Sessions end %(time)s after sign-in.", time=spoken_duration(change.now))
    else:
        yield _("Sessions end after this server's default time.")
    if ended := change.effects.sessions_ended:
        yield several(
            "%(number)d open session is older and ends immediately.",
            "%(number)d open sessions are older and end immediately.",
            ended,
        )


def _origins(change: Change) -> Iterator[str]:
    yield from (_("New origin: %(address)s", address=one) for one in change.now if one not in change.was)
    yield from (_("Removed origin: %(address)s", address=one) for one in change.was if one not in change.now)
    if {*change.was} == {*change.now}:
        yield _("The order of the origins changes.")


def _addresses(change: Change) -> Iterator[str]:
    yield from (_("New redirect URI: %(address)s", address=one) for one in change.now if one not in change.was)
    yield from (_("Removed redirect URI: %(address)s", address=one) for one in change.was if one not in change.now)
    if {*change.was} == {*change.now}:
        yield _("The order of the redirect URIs changes.")


class PasswordRules(msgspec.Struct, frozen=True, rename="camel"):
    """A client's rules for new passwords."""

    min_length: MinLength = 15
    character_classes: CharacterClasses = 0
    history: History = 0
    max_age_days: MaxAgeDays = 0


class SessionLengths(msgspec.Struct, frozen=True, rename="camel"):
    """The lifetimes of the client's sessions, in seconds: 0 for the installation's value, otherwise from 300 up to that
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
    """Origins and return addresses that a User Admin added. They don't apply to Admins until an Admin saves the
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
    #: A response can be sent back unchanged; ``unconfirmed`` has no effect then.
    TenantSettingsChange = rules.change_of(TenantSettings, READ_ONLY=frozenset({"unconfirmed"}))

#: Every rule, in the order of the settings.
LEAVES = tuple(rules.leaves(TenantSettings))


def merge(settings: S, change: msgspec.Struct) -> S:
    """Returns the settings with the change applied."""
    given = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not UNSET}
    for name, value in given.items():
        if isinstance(value, msgspec.Struct):
            given[name] = merge(getattr(settings, name), value)
    return msgspec.structs.replace(settings, **given)


@lru_cache(maxsize=1024)
def settings_of(text: str) -> StoredSettings:
    """Returns the settings of stored text."""
    return msgspec.json.decode(text, type=StoredSettings)
