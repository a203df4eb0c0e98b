"""One-time codes of an authenticator app (TOTP, RFC 6238), and random recovery codes: created, formatted, compared.

SHA-1, six digits, steps of 30 seconds, as all apps know them. Clocks might differ by one step. The caller stores which
steps and recovery codes were used.
"""

from __future__ import annotations

import base64
import hmac

from manifest_auth.runtime.clock import Random

STEP_S = 30
CODES = 10
_SECRET_BYTES, _CODE_BYTES = 20, 15  # RFC 4226, section 4: 160 bits; 120 bits cannot be guessed


def new_secret(random: Random) -> str:
    """160 random bits in base32."""
    return base64.b32encode(random.bytes(_SECRET_BYTES)).decode()


def step_of(secret: str, text: str, now: int) -> int:
    """The time step of a code, used before or not; 0 for a wrong code. ``now``: milliseconds."""
    import pyotp  # imported only if a second factor is used

    app, code, current = pyotp.TOTP(secret), normal(text), now // 1000 // STEP_S
    fits = [step for step in (current - 1, current, current + 1) if _same(app.generate_otp(step), code)]
    return fits[0] if fits else 0


def address(secret: str, name: str, issuer: str) -> str:
    """The ``otpauth://`` address that apps read from a QR code. ``name``: of the account; ``issuer``: the service that
    asks for the codes."""
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=issuer.replace(":", " "))


def new_codes(random: Random) -> tuple[str, ...]:
    """Ten recovery codes of 24 characters in base32, in groups of four."""
    codes = (base64.b32encode(random.bytes(_CODE_BYTES)).decode().lower() for _ in range(CODES))
    return tuple("-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in codes)


def normal(code: str) -> str:
    """A code in its original form, without the spaces and hyphens that people type."""
    return "".join(code.split()).replace("-", "").lower()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "surrogatepass"))
