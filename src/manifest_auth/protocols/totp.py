"""One-time codes of an authenticator app (TOTP, RFC 6238), and random recovery codes: created, formatted, compared.

Uses SHA-1, six digits, and steps of 30 seconds, which all apps support. Clocks can differ by one step. The caller
stores which steps and recovery codes were used.
"""

from __future__ import annotations

import base64
import hmac

from manifest_auth.runtime.clock import Random

STEP_S = 30
CODES = 10
_SECRET_BYTES, _CODE_BYTES = 20, 15  # RFC 4226, section 4: 160 bits; 120 bits can't be guessed


def new_secret(random: Random) -> str:
    """Returns 160 random bits in base32."""
    return base64.b32encode(random.bytes(_SECRET_BYTES)).decode()


def step_of(secret: str, text: str, now: int) -> int:
    """Returns the time step of a code, even if it was used before, or 0 for a wrong code. ``now`` is in
    milliseconds."""
    import pyotp  # imported only when a second factor is used

    app, code, current = pyotp.TOTP(secret), normal(text), now // 1000 // STEP_S
    fits = [step for step in (current - 1, current, current + 1) if _same(app.generate_otp(step), code)]
    return fits[0] if fits else 0


def address(secret: str, name: str, issuer: str) -> str:
    """Returns the ``otpauth://`` URI that apps read from a QR code. ``name`` is the account's name, and ``issuer`` is
    the service that asks for the codes."""
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer.replace(":", " "))


def new_codes(random: Random) -> tuple[str, ...]:
    """Returns ten recovery codes of 24 base32 characters, in groups of four."""
    codes = (base64.b32encode(random.bytes(_CODE_BYTES)).decode().lower() for _ in range(CODES))
    return tuple("-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in codes)


def normal(code: str) -> str:
    """Returns a code in its original form, without the spaces and hyphens that people type."""
    return "".join(code.split()).replace("-", "").lower()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "surrogatepass"))
