"""How long sessions live: as the installation has it, or shorter where a client settled so."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth.runtime.settings import Settings
from manifest_auth.tenants.settings import TenantSettings


class Lengths(NamedTuple):
    """Seconds: of a cookie without use, of a session in all, of a refresh token."""

    idle_s: int
    most_s: int
    refresh_s: int


def installations(installation: Settings) -> Lengths:
    """Those of the installation."""
    return Lengths(installation.session_idle_ttl, installation.session_max_ttl, installation.refresh_token_ttl)


def lengths_of(settings: TenantSettings, installation: Settings) -> Lengths:
    """Those of a client, none of which is above the installation's."""
    own = settings.sessions
    asked = (own.idle_seconds, own.max_seconds, own.refresh_seconds)
    return Lengths(*(min(mine or most, most) for mine, most in zip(asked, installations(installation), strict=True)))
