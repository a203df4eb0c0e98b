"""Recent proofs: the way to the page that asks for one, and back."""

from __future__ import annotations

from urllib.parse import quote

from manifest_auth.errors import InvalidCredentials
from manifest_auth.sign_in.return_addresses import ACCOUNT, is_own_path

PATH = "/reauthenticate"
#: Below the account and the installation: where a form goes on that waited for a sign-in or a recent proof.
RESUME = "continue"


def address(back: str, way: str = "") -> str:
    """Of the question. ``way``: by which it is answered, empty for the usual one."""
    chosen = f"&way={way}" if way else ""
    return f"{PATH}?returnTo={quote(way_back(back), safe='/?=')}{chosen}"


def leaving(back: str) -> str:
    """The target of the question's own way back: a form that waits is shown again, and not carried out."""
    return f"{back}&edit=yes" if f"/{RESUME}?" in back else back


def way_back(asked: str) -> str:
    """The page to show afterward: a page of ours that a sign-in can lead to, and not the question itself."""
    return asked if is_own_path(asked) and not asked.startswith(PATH) else ACCOUNT


def beside_proof(refusal: InvalidCredentials, password: str, otp: str) -> InvalidCredentials:
    """The refusal of a password or a code, with the field of a form that it is about."""
    is_code = any(field == "otp" for field, _ in refusal.details)
    sentence = refusal.details[0][1] if is_code else refusal.message
    return InvalidCredentials(details=[(otp if is_code else password, sentence)], reason=refusal.reason)
