"""Rules for new passwords, and the hash for a new user.

Length counts Unicode characters as received: nothing is trimmed, folded, or normalized. zxcvbn rejects guessable
passwords. It knows some 30,000 common passwords, names, keyboard walks, dates, and repetitions. Words related to the
user, the client, and the product are assumed to be known to an attacker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from manifest_auth.errors import ValidationError
from manifest_auth.runtime.hashing import Hasher, why_refused
from manifest_auth.tenants import PasswordRules
from manifest_auth.text.languages import marked as _
from manifest_auth.text.languages import several
from manifest_auth.text.models import at_least, at_most

MOST = 256
LEAST_GUESSES = 10**8  # "safely unguessable" on zxcvbn's scale; eight random characters just reach it
LEAST_BESIDE_WORDS = 8  # characters other than known words: a full name and a digit aren't enough
PRODUCT_WORDS = ("manifest", "manifest auth", "taqtile")
_SEPARATORS = re.compile(r"[\W_]+")
_ZXCVBN_LONGEST = 100  # more characters only take longer, without changing the result


def check(password: str, rules: PasswordRules, words: Sequence[str], field: str = "password") -> None:
    """Checks a new password. Raises ValidationError that names the problem. ``words`` contains the user's names,
    address, and client."""
    if len(password) < rules.min_length:
        raise ValidationError(details=[(field, at_least(rules.min_length))])
    if len(password) > MOST:
        raise ValidationError(details=[(field, at_most(MOST))])
    if _classes(password) < rules.character_classes:
        number = rules.character_classes
        wire = f"Must have at least {number} of these types of characters: lowercase, uppercase, digits, others"
        kinds = several(
            "Use at least %(number)d of these: lowercase letters, uppercase letters, digits, other characters",
            "Use at least %(number)d of these: lowercase letters, uppercase letters, digits, other characters",
            number,
            wire=wire,
        )
        raise ValidationError(details=[(field, kinds)])
    if is_guessable(password, words):
        raise ValidationError(
            details=[(field, _("Too easy to guess. Don't use a common password, common words, or your name."))]
        )


def is_guessable(password: str, words: Sequence[str]) -> bool:
    """Whether an attacker who knows ``words`` would soon guess the password."""
    from zxcvbn_rs_py import zxcvbn  # imported on first use: most processes never set a password

    inputs = [w for w in (*PRODUCT_WORDS, *words) if w]
    if _has_little_beside(password, inputs):
        return True
    return int(zxcvbn(password[:_ZXCVBN_LONGEST], inputs).guesses) < LEAST_GUESSES


def _has_little_beside(password: str, words: Sequence[str]) -> bool:
    """Whether the password consists of known words. zxcvbn itself accepts any three words in a row."""
    folded = [word.casefold() for word in words]
    parts = {part for word in folded for part in _SEPARATORS.split(word)}
    whole = {_SEPARATORS.sub("", word) for word in folded}  # a name that consists of short words, in any spelling
    least = min(LEAST_BESIDE_WORDS, len(password))
    written, joined = password.casefold(), _SEPARATORS.sub("", password.casefold())
    left = _beside(joined, whole)
    return _beside(written, parts) < least or (left < least and left < len(joined))


def _beside(text: str, words: Iterable[str]) -> int:
    """The number of characters left after removing the words of four or more characters."""
    for word in sorted((word for word in words if len(word) >= 4), key=len, reverse=True):
        text = text.replace(word, "")
    return len(text)


def _classes(password: str) -> int:
    tests = (str.islower, str.isupper, str.isdigit, lambda c: not c.isalnum())
    return sum(any(map(test, password)) for test in tests)


async def first_hash(
    hasher: Hasher, password: str | None, imported: str | None, rules: PasswordRules, words: Sequence[str]
) -> str | None:
    """Returns the hash for a new user: of a password that meets the rules, or imported from another system, or None.

    Raises ValidationError or Overloaded.
    """
    if password is not None and imported is not None:
        raise ValidationError(details=[("passwordHash", "Enter either a password or a hash")])
    if imported is not None:
        if why := why_refused(imported):
            raise ValidationError(details=[("passwordHash", why)])
        return imported
    if password is None:
        return None
    check(password, rules, words)
    return await hasher.hash(password)
