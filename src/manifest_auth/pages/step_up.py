"""Re-authentication: the way to its page and back."""

from __future__ import annotations

from urllib.parse import quote

from manifest_auth.errors import InvalidCredentials
from manifest_auth.sign_in.return_addresses import ACCOUNT, is_own_path

PATH = "/reauthenticate"
#: Path below the account and the installation where a form continues that waited for a sign-in or re-authentication.
RESUME = "continue"


def address(back: str, way: str = "") -> str:
    """Returns the address of the page. ``way``: the method to use, empty for the default."""
    chosen = f"&way={way}" if way else ""
    return f"{PATH}?returnTo={quote(way_back(back), safe='/?=')}{chosen}"


def leaving(back: str) -> str:
    """Returns the target of the page's back link. A waiting form is shown again, not carried out."""
    return f"{back}&edit=yes" if f"/{RESUME}?" in back else back


def way_back(asked: str) -> str:
    """Returns the page to show afterward: a page of this server that a sign-in can lead to, but not this page
    itself."""
    return asked if is_own_path(asked) and not asked.startswith(PATH) else ACCOUNT


def beside_proof(refusal: InvalidCredentials, password: str, otp: str) -> InvalidCredentials:
    """Returns the rejection of a password or a code, with the form's field that it is about."""
    is_code = any(field == "otp" for field, _ in refusal.details)
    sentence = refusal.details[0][1] if is_code else refusal.message
    return InvalidCredentials(details=[(otp if is_code else password, sentence)], reason=refusal.reason)
