"""A client's settings, as stored, and partial changes to them. Members that a change leaves out stay, so no request can
remove a rule by not knowing it."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

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
    Meta(max_length=50, description="Sites whose pages may send requests with the session cookie."),
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


class PasswordRules(msgspec.Struct, frozen=True, rename="camel"):
    """A client's rules for new passwords."""

    min_length: MinLength = 15
    character_classes: CharacterClasses = 0
    history: History = 0
    max_age_days: MaxAgeDays = 0


class TenantSettings(msgspec.Struct, frozen=True, rename="camel"):
    """A client's settings."""

    refresh_strict: RefreshStrict = False
    allowed_origins: AllowedOrigins = ()
    return_addresses: ReturnAddresses = ()
    password_sign_in: PasswordSignIn = True
    password: PasswordRules = PasswordRules()


class PasswordRulesChange(msgspec.Struct, frozen=True, rename="camel"):
    """A change of :class:`PasswordRules`."""

    min_length: MinLength | UnsetType = UNSET
    character_classes: CharacterClasses | UnsetType = UNSET
    history: History | UnsetType = UNSET
    max_age_days: MaxAgeDays | UnsetType = UNSET


class TenantSettingsChange(msgspec.Struct, frozen=True, rename="camel"):
    """A change of :class:`TenantSettings`."""

    refresh_strict: RefreshStrict | UnsetType = UNSET
    allowed_origins: AllowedOrigins | UnsetType = UNSET
    return_addresses: ReturnAddresses | UnsetType = UNSET
    password_sign_in: PasswordSignIn | UnsetType = UNSET
    password: PasswordRulesChange | UnsetType = UNSET


def merge(settings: TenantSettings, change: TenantSettingsChange) -> TenantSettings:
    """The settings with the change applied."""
    members = _given(change)
    if isinstance(change.password, PasswordRulesChange):
        members["password"] = msgspec.structs.replace(settings.password, **_given(change.password))
    return msgspec.structs.replace(settings, **members)


def _given(change: msgspec.Struct) -> dict[str, object]:
    return {f: value for f in change.__struct_fields__ if (value := getattr(change, f)) is not UNSET}


@lru_cache(maxsize=1024)
def settings_of(text: str) -> TenantSettings:
    """The settings of a stored text."""
    return msgspec.json.decode(text, type=TenantSettings)
