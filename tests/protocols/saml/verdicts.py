"""Helpers of the SAML protocol tests: one provider, its policy, and functions that accept or reject a response."""

from __future__ import annotations

from typing import Any

import pytest

from manifest_auth.protocols import saml
from tests.support.saml_idp import NOW_MS, Idp, decode, encode

AUDIENCE = "https://acme.manifest.example/api/client/auth/okta-saml/metadata?client=acme"
ACS = "https://acme.manifest.example/api/client/auth/okta-saml"
OUR_KEY, OUR_CERTIFICATE = saml.make_key("acme", NOW_MS)
IDP = Idp()
POLICY = saml.Policy(
    issuer=IDP.issuer,
    audience=AUDIENCE,
    acs=ACS,
    certificates=(IDP.certificate_der,),
    accept_expired_certificates=False,
    decryption_keys=(OUR_KEY,),
    allow_idp_initiated=True,
)


def response(idp: Idp = IDP, **options: Any) -> str:
    """A response of the provider for us, with the options of :meth:`Idp.response`."""
    return idp.response(AUDIENCE, ACS, **options)


def verdict(
    text: str, policy: saml.Policy = POLICY, request_id: str | None = None, now_ms: int = NOW_MS
) -> saml.Assertion:
    """Parse and verify a response."""
    return saml.verify(saml.read_response(text), policy, request_id, now_ms)


def refuse(
    text: str, reason: str, policy: saml.Policy = POLICY, request_id: str | None = None, now_ms: int = NOW_MS
) -> None:
    """Check that a response is rejected for this reason."""
    with pytest.raises(saml.SamlRefused, match=reason):
        verdict(text, policy, request_id, now_ms)


def pinned(idp: Idp, **changes: Any) -> saml.Policy:
    """The policy with another provider's certificate pinned."""
    return POLICY._replace(certificates=(idp.certificate_der,), **changes)


def replaced(text: str, old: str, new: str, count: int = 1) -> str:
    """A response with XML that was changed after signing."""
    document = decode(text).decode()
    assert old in document, old
    return encode(document.replace(old, new, count).encode())
