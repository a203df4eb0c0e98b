"""Fixtures: name servers that answer for claimed domains."""

from tests.http.claims.conftest import asked, no_own_checks, zone

__all__ = ["asked", "no_own_checks", "zone"]
