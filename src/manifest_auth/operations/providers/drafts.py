"""What a body gives of a provider, merged into what is stored."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from manifest_auth.providers import Provider, Settings
from manifest_auth.services import Services
from manifest_auth.sign_in.providers import kinds
from manifest_auth.sign_in.providers.kinds import KINDS
from manifest_auth.text.models import convert


class Draft(NamedTuple):
    """What a body gives: members to merge in, whether a client secret was among them, and whether what the provider
    claims is vouched for."""

    members: dict[str, Any]
    has_secret: bool
    secret: str | None
    vouch: bool

    @property
    def is_about_people(self) -> bool:
        """Whether it gives what decides who people are, or nothing at all, which confirms what is there: a new display
        name or client secret alone says nothing of the rest."""
        settles = any(value != {} for name, value in self.members.items() if name not in ("name", "displayName"))
        return settles or not (self.members or self.has_secret)


def draft_of(body: msgspec.Struct) -> Draft:
    """Reads what the kinds have a reader for, such as metadata. Raises ValidationError."""
    members: dict[str, Any] = msgspec.to_builtins(body)
    vouch = members.pop("vouch", False)
    secret, has_secret = None, False
    for name in KINDS.keys() & members.keys():
        has_secret = has_secret or "clientSecret" in members[name]
        secret = members[name].pop("clientSecret", secret)
        members[name] = KINDS[name].read(members[name])
    return Draft(members, has_secret, secret, vouch)


def merged(before: Provider | None, draft: Draft) -> Settings:
    """The settings with what the draft gives. Raises ValidationError."""
    members = {k: v for k, v in draft.members.items() if k not in ("name", "displayName")}
    stored = kinds.settings_of(before) if before is not None else None
    kept: dict[str, Any] = msgspec.to_builtins(stored) if stored is not None else {}
    settings = convert(_merge(kept, members), kinds.Settings)
    settings.check()
    if stored is not None:
        settings.own.check_change(stored.own)
    return settings


def check_here(services: Services, settings: Settings) -> None:
    """Refuses addresses that this installation never calls, or sends no browser to. Raises ValidationError."""
    own = settings.own
    KINDS[own.kind].check_here(services, own)


def _merge(kept: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    both = dict(kept)
    for name, value in given.items():
        before = both.get(name)
        both[name] = _merge(before, value) if isinstance(value, dict) and isinstance(before, dict) else value
    return both
