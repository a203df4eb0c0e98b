"""AuthnRequests to providers, and the redirect or form that sends them (SAML bindings 3.4 and 3.5)."""

from __future__ import annotations

import base64
import hashlib
import zlib
from html import escape
from typing import Final
from urllib.parse import quote_plus, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_der_x509_certificate
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

from manifest_auth.protocols.saml import document
from manifest_auth.protocols.saml.document import (
    ASSERTION,
    DS,
    HTTP_POST,
    PROTOCOL,
    RSA_SHA256,
    assertion,
    ds,
    protocol,
    write_time,
)
from manifest_auth.protocols.saml.metadata import check_address

_SCRIPT: Final = "document.forms[0].submit()"
_SCRIPT_HASH: Final = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()


def authn_request(
    request_id: str,
    issued_at_ms: int,
    destination: str,
    issuer: str,
    acs: str,
    force: bool = False,
    contexts: tuple[str, ...] = (),
) -> bytes:
    """An unsigned AuthnRequest. ``request_id``: an XML name, which starts with a letter or ``_``.

    ``force``: the user must authenticate again; ``contexts``: in one of these ways (SAML core 3.3.2.2.1). There is no
    NameIDPolicy: providers send their configured NameID, some refuse other formats, and djangosaml2idp refuses a policy
    without a format.
    """
    members = {
        "ID": request_id,
        "Version": "2.0",
        "IssueInstant": write_time(issued_at_ms),
        "Destination": destination,
        "AssertionConsumerServiceURL": acs,
        "ProtocolBinding": HTTP_POST,
        **({"ForceAuthn": "true"} if force else {}),
    }
    root = etree.Element(protocol("AuthnRequest"), members, {"samlp": PROTOCOL, "saml": ASSERTION})
    etree.SubElement(root, assertion("Issuer")).text = issuer
    if contexts:
        asked = etree.SubElement(root, protocol("RequestedAuthnContext"), {"Comparison": "exact"})
        for context in contexts:
            etree.SubElement(asked, assertion("AuthnContextClassRef")).text = context
    return bytes(etree.tostring(root))


def redirect_address(sso: str, request: bytes, relay_state: str, key: bytes | None) -> str:
    """The provider's address with the request in its query (HTTP-Redirect). ``key``: PEM, to sign with.

    The signature is over the query's own octets, in the order of SAML bindings 3.4.4.1.
    """
    check_address(sso)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    deflated = compressor.compress(request) + compressor.flush()
    members = {"SAMLRequest": base64.b64encode(deflated).decode()}
    if relay_state:
        members["RelayState"] = relay_state
    if key is not None:
        members["SigAlg"] = RSA_SHA256
    query = urlencode(members)
    if key is not None:
        value = _private(key).sign(query.encode(), padding.PKCS1v15(), hashes.SHA256())
        query += f"&Signature={quote_plus(base64.b64encode(value).decode())}"
    return f"{sso}{'&' if '?' in sso else '?'}{query}"


def post_page(
    sso: str, request: bytes, relay_state: str, key: bytes | None, certificate: bytes | None
) -> tuple[bytes, str]:
    """A page that posts the request automatically or with a button (HTTP-POST), and its Content-Security-Policy.

    ``key`` (PEM) signs the request; ``certificate`` (DER) is then included.
    """
    check_address(sso)
    content = request if key is None else _signed(request, _private(key), certificate)
    fields = {"SAMLRequest": base64.b64encode(content).decode()}
    if relay_state:
        fields["RelayState"] = relay_state
    inputs = "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in fields.items())
    page = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Signing in</title></head><body>'
        f'<form method="post" action="{escape(sso)}">{inputs}'
        '<p><button type="submit">Continue to sign in</button></p></form>'
        f"<script>{_SCRIPT}</script></body></html>"
    )
    # Browsers apply this to redirects too, and providers redirect to login pages of other origins.
    targets = "https:" if urlsplit(sso).scheme == "https" else "https: http:"
    policy = (
        f"default-src 'none'; script-src 'sha256-{_SCRIPT_HASH}'; form-action {targets}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    return page.encode(), policy


def _signed(request: bytes, key: rsa.RSAPrivateKey, certificate: bytes | None) -> bytes:
    """The request with an enveloped signature directly after its Issuer, as the schema requires."""
    root = document.parse(request)
    issuer = root.find(assertion("Issuer"))
    assert issuer is not None
    issuer.addnext(etree.Element(ds("Signature"), {"Id": "placeholder"}, {"ds": DS}))
    signer = XMLSigner(
        signature_algorithm=SignatureMethod.RSA_SHA256,
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    chain = None if certificate is None else [load_der_x509_certificate(certificate)]
    return bytes(etree.tostring(signer.sign(root, key=key, cert=chain, reference_uri=root.get("ID"))))


def _private(pem: bytes) -> rsa.RSAPrivateKey:
    key = load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)  # make_key made it
    assert isinstance(key, rsa.RSAPrivateKey)
    return key
