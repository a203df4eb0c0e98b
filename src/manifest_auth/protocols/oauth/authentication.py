"""Authentication of a caller of ``/oauth2``: by a secret in the Basic header, or by a signed assertion.

RFC 6749, section 2.3.1, and RFC 7523, section 2.2. A secret in the body is refused, and so are two ways at once.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote_plus

from manifest_auth.protocols.oauth.errors import InvalidClient, InvalidRequest

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
METHODS = ("client_secret_basic", "private_key_jwt")
_PREFIX = "svc_"
_ID = re.compile(r"svc_([1-9][0-9]{0,18})\Z")
_MOST_ID = 2**63 - 1
_LONGEST = 1024  # of a Basic header
_FORM_CODED = re.compile(r"(?:[!-$&-~]|%[0-9A-Fa-f]{2})*\Z")  # visible ASCII, and no % without two digits


class BasicSecret(NamedTuple):
    """``client_secret_basic``, as it was sent."""

    client_id: str
    secret: str


class ClientAssertion(NamedTuple):
    """``private_key_jwt``, as it was sent. ``client_id``: empty where the request leaves it to the assertion."""

    client_id: str
    text: str


def client_id_of(account: int) -> str:
    """The client id of a service account."""
    return f"{_PREFIX}{account}"


def account_of(client_id: str) -> int | None:
    """The number of the service account; None for a text that is no client id, in its only spelling."""
    found = _ID.match(client_id)
    number = int(found[1]) if found else 0
    return number if 0 < number <= _MOST_ID else None


def read_authentication(authorization: str | None, fields: Mapping[str, str]) -> BasicSecret | ClientAssertion:
    """What the caller authenticates with; nothing of it is verified yet. ``authorization``: that header; ``fields``: of
    the form. Raises InvalidClient, and InvalidRequest for two ways at once."""
    client_id = fields.get("client_id", "")
    by_assertion = "client_assertion" in fields or "client_assertion_type" in fields
    if "client_secret" in fields:
        if authorization is not None or by_assertion:
            raise InvalidRequest("The client authenticates in more than one way")
        raise InvalidClient("the secret came in the body")
    if authorization is not None and by_assertion:
        raise InvalidRequest("The client authenticates in more than one way")
    if authorization is not None:
        basic = _basic(authorization)
        if client_id not in ("", basic.client_id):
            raise InvalidClient("the body names another client than the header")
        return basic
    if not by_assertion:
        raise InvalidClient("none was sent")
    if fields.get("client_assertion_type") != ASSERTION_TYPE:
        raise InvalidClient("unknown type of assertion")
    return ClientAssertion(client_id, fields.get("client_assertion", ""))


def _basic(authorization: str) -> BasicSecret:
    scheme, _, coded = authorization.partition(" ")
    if scheme.lower() != "basic" or len(coded) > _LONGEST:
        raise InvalidClient("not a Basic header")
    try:
        text = base64.b64decode(coded.strip(" "), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise InvalidClient("the Basic header is not base64 of ASCII") from None
    client_id, colon, secret = text.partition(":")
    if not colon:
        raise InvalidClient("the Basic header has no colon")
    return BasicSecret(_decoded(client_id), _decoded(secret))


def _decoded(coded: str) -> str:
    """A part of the Basic header, which is coded as a form's value (RFC 6749, appendix B)."""
    if not _FORM_CODED.match(coded):
        raise InvalidClient("the Basic header is not coded as a form")
    return unquote_plus(coded, "utf-8", "replace")
