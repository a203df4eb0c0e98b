"""Proofs of a person before a session opens: the methods (RFC 8176), and the time.

Only :mod:`manifest_auth.sign_in.second_factor.gate` makes a :class:`Proof`, so no session opens past a second factor
that is due.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Way = Literal["pwd", "otp", "passkey", "recovery", "provider", "trusted", "link", "device", "badge", "pin", "mfa"]
#: Two factors were proved, or accepted from a provider.
MFA: Way = "mfa"


class Proof(NamedTuple):
    """``amr``: the methods; ``at``: time of the last full proof in milliseconds, None where it is not known."""

    amr: tuple[Way, ...]
    at: int | None

    @property
    def text(self) -> str:
        """The methods, as stored."""
        return " ".join(self.amr)


def ways_of(text: str) -> tuple[Way, ...]:
    """The methods of a stored text."""
    return tuple(text.split())  # type: ignore[arg-type]  # we alone write it
