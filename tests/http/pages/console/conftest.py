"""Fixtures: name servers for claimed domains, and an Admin who verifies a Microsoft directory."""

from tests.http.claims.conftest import asked, no_own_checks, prover, zone

__all__ = ["asked", "no_own_checks", "prover", "zone"]
