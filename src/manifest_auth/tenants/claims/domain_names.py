"""Names that can be claimed as an e-mail domain, and the DNS record that proves a claim."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from manifest_auth.errors import ValidationError
from manifest_auth.text.canonical import DOMAIN

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

_LABEL = "_manifest-auth-challenge"
_VALUE = "manifest-domain-verification="


class Record(NamedTuple):
    """A TXT record."""

    name: str
    value: str


def record_of(domain: str, token: str) -> Record:
    """The record that proves a claim. The token belongs to one claim, so the record proves no other."""
    return Record(f"{_LABEL}.{domain}", f"{_VALUE}{token}")


def check(domain: str, field: str = "domain") -> str:
    """The domain. Raises ValidationError for an invalid one, and for a public suffix: the owner of ``co.uk`` would
    speak for every company below it."""
    if not DOMAIN.match(domain) or domain.rpartition(".")[2].isdigit():
        raise ValidationError(details=[(field, "Must be a domain in lower case, like acme.example")])
    if _suffixes().is_public(domain):
        raise ValidationError(details=[(field, "A public suffix: names below it belong to others")])
    return domain


@cache
def _suffixes() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList  # a large list, needed only where a domain is claimed

    return PublicSuffixList()  # ICANN's part and the private one, as bundled with the library
