"""Password hashes and the rules for new passwords. Hashing never runs on the event loop. Stores nothing."""

from __future__ import annotations

from collections.abc import Sequence

from manifest_auth.errors import ValidationError
from manifest_auth.passwords.hasher import Hasher, Proof, is_acceptable
from manifest_auth.passwords.rules import MOST, check
from manifest_auth.tenants import PasswordRules

__all__ = ["MOST", "Hasher", "Proof", "check", "first_hash", "is_acceptable"]


async def first_hash(
    hasher: Hasher, password: str | None, imported: str | None, rules: PasswordRules, words: Sequence[str]
) -> str | None:
    """The hash for a new user: of a password that meets the rules, or one imported from another system, or none.

    Raises ValidationError, Overloaded.
    """
    if password is not None and imported is not None:
        raise ValidationError(details=[("passwordHash", "Give either a password or a hash")])
    if imported is not None:
        if not is_acceptable(imported):
            raise ValidationError(details=[("passwordHash", "Not a hash of a known format and cost")])
        return imported
    if password is None:
        return None
    check(password, rules, words)
    return await hasher.hash(password)
