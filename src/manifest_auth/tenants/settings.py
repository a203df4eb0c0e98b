"""A client's settings, as stored, and partial changes to them.

Members that a change leaves out stay, so no request can remove a rule by not knowing it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, ClassVar, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from manifest_auth.permissions import Role
from manifest_auth.runtime.settings import DAY
from manifest_auth.tenants.device_rules import BadgeRules, BadgeRulesChange, PairingRules, PairingRulesChange
from manifest_auth.text import fields
from manifest_auth.text.languages import Language

S = TypeVar("S", bound=msgspec.Struct)
MinLength = Annotated[int, Meta(ge=8, le=64, description="Minimum number of characters.")]
CharacterClasses = Annotated[
    int, Meta(ge=0, le=4, description="How many of lower case, upper case, digit and other are needed; 0: any.")
]
History = Annotated[int, Meta(ge=0, le=24, description="Number of former passwords that cannot be used again.")]
MaxAgeDays = Annotated[
    int, Meta(ge=0, le=3650, description="Days after which sign-in reports that a change is due; 0: never.")
]
RefreshStrict = Annotated[bool, Meta(description="A refresh token becomes invalid as soon as its successor is issued.")]
AllowedOrigins = Annotated[
    tuple[Annotated[str, Meta(max_length=300)], ...],
    Meta(
        max_length=50,
        description="Origins whose pages may read answers (CORS), and may send requests with the session cookie.",
    ),
]

ReturnAddresses = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=2000)], ...],
    Meta(
        max_length=50,
        description="Where a sign-in through a provider may return to: exact addresses, including those of apps.",
    ),
]
PasswordSignIn = Annotated[
    bool, Meta(description="Whether users may sign in with a password; `false`: only with single sign-on.")
]


Contact = Annotated[str, fields.CONTACT.meta]
DefaultLanguage = Annotated[Language, Meta(description="Default language of pages and e-mails.")]
IdleSeconds = Annotated[
    int, Meta(ge=0, le=400 * DAY, description="A session cookie expires after so many seconds without use.")
]
MaxSeconds = Annotated[int, Meta(ge=0, le=400 * DAY, description="A session ends after so many seconds, even in use.")]
RefreshSeconds = Annotated[int, Meta(ge=0, le=400 * DAY, description="Lifetime of a refresh token, seconds.")]
BrandName = Annotated[str, fields.BRAND_NAME.meta]
RequiredOf = Annotated[
    Literal["off", "optional", "required", "roles"],
    Meta(
        description="`off`: no one enrols a second factor, those who have one are still asked; `optional`: users may "
        "have one; `required`: all must; `roles`: those with one of `roles` must."
    ),
]
FactorRoles = Annotated[tuple[Role, ...], Meta(max_length=7, description="For the policy `roles`.")]
FactorMethods = Annotated[
    tuple[Literal["totp", "passkey"], ...],
    Meta(min_length=1, max_length=2, description="Factors that users may enrol."),
]
GraceDays = Annotated[
    int,
    Meta(ge=0, le=30, description="Days until a due enrolment is part of sign-in; 0 for Admin and User Admin."),
]
TrustedDays = Annotated[
    int, Meta(ge=0, le=90, description="Days for which a user may trust a browser; 0: sign-in always asks.")
]
PasskeySignIn = Annotated[
    bool | None, Meta(description="Whether a passkey alone signs in; `null`: where `passwordSignIn` is on.")
]
StepUp = Annotated[
    Literal["factors", "management"],
    Meta(
        description="Which acts need a proof of the last ten minutes: changes of one's own ways to sign in, or the "
        "management of users, providers and rules as well."
    ),
]
Accent = Annotated[str, Meta(max_length=7, description="Colour of pages, `#rrggbb` in lower case; empty: the default.")]


class PasswordRules(msgspec.Struct, frozen=True, rename="camel"):
    """A client's rules for new passwords."""

    min_length: MinLength = 15
    character_classes: CharacterClasses = 0
    history: History = 0
    max_age_days: MaxAgeDays = 0


class SessionLengths(msgspec.Struct, frozen=True, rename="camel"):
    """How long the client's sessions live, seconds: 0 for the installation's value, else from 300 up to that value."""

    idle_seconds: IdleSeconds = 0
    max_seconds: MaxSeconds = 0
    refresh_seconds: RefreshSeconds = 0


class Branding(msgspec.Struct, frozen=True, rename="camel"):
    """A client's branding, except its logo."""

    name: BrandName = ""
    accent: Accent = ""


class SecondFactorPolicy(msgspec.Struct, frozen=True, rename="camel"):
    """Who must have a second factor, and which."""

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


class PasswordRulesChange(msgspec.Struct, frozen=True, rename="camel"):
    """A change of :class:`PasswordRules`."""

    min_length: MinLength | UnsetType = UNSET
    character_classes: CharacterClasses | UnsetType = UNSET
    history: History | UnsetType = UNSET
    max_age_days: MaxAgeDays | UnsetType = UNSET


class SessionLengthsChange(msgspec.Struct, frozen=True, rename="camel"):
    """A change of :class:`SessionLengths`."""

    idle_seconds: IdleSeconds | UnsetType = UNSET
    max_seconds: MaxSeconds | UnsetType = UNSET
    refresh_seconds: RefreshSeconds | UnsetType = UNSET


class BrandingChange(msgspec.Struct, frozen=True, rename="camel"):
    """A change of :class:`Branding`."""

    name: BrandName | UnsetType = UNSET
    accent: Accent | UnsetType = UNSET


class SecondFactorPolicyChange(msgspec.Struct, frozen=True, rename="camel"):
    """A change of :class:`SecondFactorPolicy`."""

    policy: RequiredOf | UnsetType = UNSET
    roles: FactorRoles | UnsetType = UNSET
    methods: FactorMethods | UnsetType = UNSET
    grace_days: GraceDays | UnsetType = UNSET
    trusted_days: TrustedDays | UnsetType = UNSET


class TenantSettingsChange(msgspec.Struct, frozen=True, rename="camel"):
    """A change of :class:`TenantSettings`. What was read may be sent back; ``unconfirmed`` changes nothing then."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"unconfirmed"})

    refresh_strict: RefreshStrict | UnsetType = UNSET
    allowed_origins: AllowedOrigins | UnsetType = UNSET
    return_addresses: ReturnAddresses | UnsetType = UNSET
    password_sign_in: PasswordSignIn | UnsetType = UNSET
    password: PasswordRulesChange | UnsetType = UNSET
    sessions: SessionLengthsChange | UnsetType = UNSET
    contact: Contact | UnsetType = UNSET
    language: DefaultLanguage | UnsetType = UNSET
    branding: BrandingChange | UnsetType = UNSET
    second_factor: SecondFactorPolicyChange | UnsetType = UNSET
    passkey_sign_in: PasskeySignIn | UnsetType = UNSET
    step_up: StepUp | UnsetType = UNSET
    pairing: PairingRulesChange | UnsetType = UNSET
    badge: BadgeRulesChange | UnsetType = UNSET


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
