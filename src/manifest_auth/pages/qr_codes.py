"""QR codes on pages, and the key of a new authenticator app: to scan, to open, to type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manifest_auth.sign_in.second_factor.enrollment import TotpSecretData
from manifest_auth.text import scan_codes
from manifest_auth.text.languages import catalogue
from manifest_auth.text.languages import marked as _

if TYPE_CHECKING:
    from markupsafe import Markup


# QR codes on pages: the one place that hands markup to a template.


async def qr_code(text: str, title: str) -> Markup:
    """A QR code of ``text``, for a template to insert. ``title``: its accessible name, in the page's language. Raises
    ValueError for more than 2,953 bytes."""
    drawn = await scan_codes.qr_svg(text, title)
    from markupsafe import Markup  # not at the start: see rendering

    return Markup(drawn)  # noqa: S704 - modules as numbers, and a title that is escaped


_TITLE = _("QR code with the key for your authenticator app")


async def app_key(secret: str, uri: str, language: str) -> TotpSecretData:
    """The key in its three forms, ``qr`` as markup. ``secret``: base32; ``uri``: its ``otpauth://`` address."""
    return TotpSecretData(secret, uri, await qr_code(uri, catalogue(language).gettext(_TITLE)))
