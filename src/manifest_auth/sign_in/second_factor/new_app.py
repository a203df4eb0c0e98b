"""A new secret for an authenticator app, in the three forms that people need: text, address, QR code."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth.protocols import totp
from manifest_auth.text import scan_codes

_TITLE = "QR code for the authenticator app"


class NewApp(NamedTuple):
    """``secret``: base32; ``uri``: the same as ``otpauth://`` address; ``qr``: that address as SVG."""

    secret: str
    uri: str
    qr: str


async def shown(secret: str, email: str, client: str) -> NewApp:
    """The forms of a secret. ``email``, ``client``: under which names the app lists it."""
    uri = totp.address(secret, email, client)
    return NewApp(secret, uri, await scan_codes.qr_svg(uri, _TITLE))
