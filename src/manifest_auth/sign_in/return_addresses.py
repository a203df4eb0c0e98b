"""Addresses to which a browser can return after a sign-in: a listed address, or a page of this server.

Everything else is rejected immediately, so a sign-in never sends a user to an address that an attacker chose.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from manifest_auth.errors import ValidationError

ACCOUNT = "/account"
_REST = r"(?:[/?][A-Za-z0-9/_.\-?=&]*)?\Z"
_APP = r"o/[a-z0-9-]{2,63}/authorize"  # where an app's request continues, see pages/sign_in/authorize.py
_OWN = re.compile(rf"/(?:account|console|device|reauthenticate|{_APP})" + _REST)
_PAGE = re.compile(
    rf"/(?:account|console|device|forgot|installation|pair|reauthenticate|sign-in|sign-out|welcome|{_APP})" + _REST
)
_OF_APP, _ANEW, _FACTOR, _DENIED = re.compile(f"/{_APP}" + _REST), "&anew=1", "&mfa=1", "&denied=1"
_LONGEST = 6000  # the state of a running sign-in makes an address long


def is_own_path(address: str) -> bool:
    """Whether the address is a path of a page of this server where a sign-in can end. Rejects text that browsers might
    interpret differently: a second slash, a backslash, ``..``, anything encoded."""
    return _is(_OWN, address)


def is_own_page(address: str) -> bool:
    """Whether the address is a path of any page of this server, for links back to the user's previous page. Otherwise
    like :func:`is_own_path`."""
    return _is(_PAGE, address)


def _is(pattern: re.Pattern[str], address: str) -> bool:
    return len(address) <= _LONGEST and bool(pattern.match(address)) and "//" not in address and ".." not in address


def of_app(client: str, sealed: str, *, mfa: bool, anew: bool = False) -> str:
    """Returns the address at which an app's sealed request continues. ``mfa``: the sign-in requires two factors;
    ``anew``: an identity provider must authenticate the user again."""
    return f"/o/{client}/authorize?s={sealed}{_ANEW if anew else ''}{_FACTOR if mfa else ''}"


def is_of_app(address: str) -> bool:
    """Whether an app's request continues there."""
    return _is(_OF_APP, address)


def denied(address: str) -> str:
    """Returns the address at which the app of :func:`of_app` learns that the user cannot sign in."""
    return f"{address}{_DENIED}"


def is_denied(query: str) -> bool:
    """Whether the query is that of :func:`denied`."""
    return query.endswith(_DENIED)


def asks_factor(address: str) -> bool:
    """Whether a sign-in that returns to the address requires two factors. Otherwise, the page there requires them."""
    return is_of_app(address) and address.endswith(_FACTOR)


def asks_anew(address: str) -> bool:
    """Whether an identity provider must authenticate the user again in the sign-in that ends there."""
    return is_of_app(address) and _ANEW in address


def is_web(address: str) -> bool:
    """Whether a browser can be sent there. An app's own scheme needs the user's confirmation, and a code instead of a
    cookie."""
    return address.startswith(("https://", "http://"))


def is_allowed(listed: Sequence[str], address: str) -> bool:
    """Whether a sign-in can end there now. ``listed`` contains the client's and the provider's addresses."""
    return address in listed or is_own_path(address)


def choose(listed: Sequence[str], asked: str, response: str = "cookie") -> str:
    """Returns where the browser ends: the requested address, if it is one of those ``listed`` for the user or a page of
    this server, or the account page if none was requested. No listed address is a default, because each expects
    something that only its application requests, such as a code. Raises ValidationError."""
    if asked and not is_allowed(listed, asked):
        raise ValidationError(details=[("returnTo", "Not one of the listed redirect URIs")])
    is_path = asked.startswith("/")
    if asked and response == "cookie" and not is_path and not is_web(asked):
        raise ValidationError(details=[("response", "An app's own redirect URI requires response=code")])
    if is_path and response == "code":
        raise ValidationError(details=[("response", "A page of this server can't take a code")])
    if response == "code" and not asked:
        raise ValidationError(details=[("returnTo", "Required with response=code")])
    return asked or ACCOUNT
