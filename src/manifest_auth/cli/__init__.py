"""The command ``manifest-auth`` (contract, section 11)."""

from manifest_auth.cli.main import main

__all__ = ["main"]
