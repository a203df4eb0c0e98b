"""The way from a page whose act needs a recent proof to the page that asks for one, and back."""

from __future__ import annotations

from urllib.parse import quote

from manifest_auth.http import Answer
from manifest_auth.pages.call import see_other
from manifest_auth.sign_in.return_addresses import ACCOUNT, is_own_path

PATH = "/reauthenticate"


def asked_first(back: str) -> Answer[None]:
    """On to the question; nothing that was typed goes along. ``back``: the page to which it leads afterwards."""
    return see_other(address(back))


def address(back: str, way: str = "") -> str:
    """Of the question. ``way``: by which it is answered, empty for the usual one."""
    chosen = f"&way={way}" if way else ""
    return f"{PATH}?returnTo={quote(way_back(back), safe='/?=')}{chosen}"


def way_back(asked: str) -> str:
    """Where it leads afterwards: a page of ours that a sign-in may lead to, and not the question itself."""
    return asked if is_own_path(asked) and not asked.startswith(PATH) else ACCOUNT
