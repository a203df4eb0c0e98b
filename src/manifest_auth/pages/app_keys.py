"""The key of a new authenticator app as pages show it: to scan, to open, to type."""

from __future__ import annotations

import msgspec

from manifest_auth.pages import qr
from manifest_auth.text.languages import catalogue
from manifest_auth.text.languages import marked as _

_TITLE = _("QR code with the key for your authenticator app")


class AppKey(msgspec.Struct, frozen=True):
    """``secret``: in groups of four; ``uri``: what an app on this device opens; ``qr``: the same as markup."""

    secret: str
    uri: str
    qr: str


async def shown(secret: str, uri: str, language: str) -> AppKey:
    """The key in its three forms. ``secret``: base32; ``uri``: its ``otpauth://`` address."""
    drawn = await qr.code(uri, catalogue(language).gettext(_TITLE))
    return AppKey(" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)), uri, drawn)
