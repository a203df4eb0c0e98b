"""Lengths of sessions: the installation's values, or shorter ones from a client's settings."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from manifest_auth.runtime.settings import Settings
from manifest_auth.tenants.settings import SessionLengths, TenantSettings


class Lengths(NamedTuple):
    """Seconds: a cookie without use, a session in total, a refresh token."""

    idle_s: int
    most_s: int
    refresh_s: int


def installation_lengths(installation: Settings) -> Lengths:
    """The installation's values."""
    return Lengths(installation.session_idle_ttl, installation.session_max_ttl, installation.refresh_token_ttl)


def lengths_of(settings: TenantSettings, installation: Settings) -> Lengths:
    """A client's values, limited by the installation's."""
    return _limited(settings.sessions, installation_lengths(installation))


@lru_cache(maxsize=1024)  # each request with a cookie asks
def _limited(own: SessionLengths, most: Lengths) -> Lengths:
    asked = (own.idle_seconds, own.max_seconds, own.refresh_seconds)
    return Lengths(*(min(mine or limit, limit) for mine, limit in zip(asked, most, strict=True)))
