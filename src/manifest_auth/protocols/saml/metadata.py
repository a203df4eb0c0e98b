"""SAML metadata and X.509 certificates of providers, and the metadata and AuthnRequests of this server."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Final, NamedTuple
from urllib.parse import quote_plus, urlencode, urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509 import load_der_x509_certificate
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

from manifest_auth.protocols.saml import document
from manifest_auth.protocols.saml.document import (
    ASSERTION,
    DS,
    HTTP_POST,
    HTTP_REDIRECT,
    METADATA,
    PROTOCOL,
    RSA_SHA256,
    XENC,
    XENC11,
    InvalidSaml,
    SamlRefused,
    assertion,
    ds,
    metadata,
    protocol,
    quoted,
    write_time,
)
from manifest_auth.text.languages import marked as _

# X.509 certificates: our own, and the certificates of providers, which have pinned keys.

_LONGEST = 64 * 1024
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_RSA_BITS = range(2048, 8192 + 1)
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_OUR_YEARS = 20
_BACKDATED = timedelta(days=1)  # for providers with a slow clock
_LONGEST_COMMON_NAME = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class CertificateFacts(NamedTuple):
    """Properties that help an administrator recognize a certificate. Times are in milliseconds. SHA-256 is in
    hexadecimal."""

    subject: str
    not_before: int
    not_after: int
    fingerprint: str


def read_certificate(text: str) -> bytes:
    """Returns a certificate as DER, from PEM or plain base64, as shown in consoles and metadata.

    Raises :class:`SamlRefused`, with a sentence for an administrator, for anything else and for unsafe keys: RSA under
    2048 bits, curves other than P-256, P-384, and P-521, and all other kinds.
    """
    if len(text) > _LONGEST:
        raise InvalidSaml(_("This is too long to be a certificate"))
    blocks = _PEM.findall(text)
    if len(blocks) > 1:
        raise InvalidSaml(_("This contains several certificates or keys. Enter one at a time"))
    if blocks and blocks[0][0] != "CERTIFICATE":
        raise InvalidSaml(_("This is a %(kind)s, not a certificate", kind=blocks[0][0].lower()))
    body = "".join((blocks[0][1] if blocks else text).split())
    try:
        der = base64.b64decode(body, validate=True)
        key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, binascii.Error, UnsupportedAlgorithm, x509.UnsupportedGeneralNameType):
        raise InvalidSaml(_("This isn't an X.509 certificate in PEM or base64")) from None
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size not in _RSA_BITS:
            raise InvalidSaml(
                _("The certificate's RSA key has %(number)s bits. It must have 2048 to 8192", number=key.key_size)
            )
    elif not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidSaml(_("The certificate's key must be RSA or elliptic curve (ECDSA)"))
    elif key.curve.name not in _CURVES:
        name = key.curve.name
        raise InvalidSaml(
            _("The certificate's curve %(name)s isn't allowed. It must be P-256, P-384, or P-521", name=name)
        )
    return der


def certificate_facts(der: bytes) -> CertificateFacts:
    """Returns the properties of a certificate that :func:`read_certificate` accepted."""
    certificate = x509.load_der_x509_certificate(der)
    return CertificateFacts(
        subject=certificate.subject.rfc4514_string(),
        not_before=_ms(certificate.not_valid_before_utc),
        not_after=_ms(certificate.not_valid_after_utc),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def make_key(common_name: str, now_ms: int) -> tuple[bytes, bytes]:
    """Creates an RSA key of 2048 bits (PEM, PKCS #8) and its self-signed certificate (DER), valid for 20 years.

    Providers encrypt with it, and verify our requests with it. They pin it, so the certificate needs no authority.
    """
    key = rsa.generate_private_key(65537, 2048)
    now = _EPOCH + timedelta(milliseconds=now_ms)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name[:_LONGEST_COMMON_NAME])])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=365 * _OUR_YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), certificate.public_bytes(Encoding.DER)


def _ms(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)


# SAML metadata (SAML metadata 2.4): reads the providers' metadata, and writes our own.

_LARGEST = 512 * 1024  # some contain logos as data: addresses
_LONGEST_ENTITY_ID = 1024  # SAML core 8.3.6
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_DESCRIPTOR = metadata("IDPSSODescriptor")
_ENCRYPTION_METHODS: Final = (
    f"{XENC11}aes256-gcm",
    f"{XENC11}aes128-gcm",
    f"{XENC}aes256-cbc",
    f"{XENC}aes128-cbc",
    f"{XENC}rsa-oaep-mgf1p",
)
_HOST: Final = re.compile(r"[A-Za-z0-9.\-]{1,253}|[0-9a-fA-F:]{2,39}")


class Metadata(NamedTuple):
    """A provider's metadata, with at least one address and one certificate (DER)."""

    entity_id: str
    redirect_address: str | None
    post_address: str | None
    certificates: tuple[bytes, ...]
    wants_signed_requests: bool


def read_metadata(content: bytes) -> Metadata:
    """Returns the only identity provider of a metadata document.

    Doesn't check the document's signature, because the administrator who imports it is responsible. Nothing in it can
    disable a check. Raises :class:`SamlRefused` with a sentence for the administrator.
    """
    try:
        return _read(document.parse(content, largest=_LARGEST, comments=True))
    except SamlRefused as reason:
        raise InvalidSaml(_("This metadata can't be used: %(reason)s.", reason=reason.args[0])) from None


def sp_metadata(entity_id: str, acs: str, certificates: Sequence[bytes], signs_requests: bool) -> bytes:
    """Returns our metadata for a provider: entity ID, assertion consumer address, and certificates (DER, newest first).

    Each certificate is for signing and encryption, so that keys are replaced one at a time. WantAssertionsSigned is
    set.
    """
    root = etree.Element(metadata("EntityDescriptor"), {"entityID": entity_id}, {"md": METADATA, "ds": DS})
    wanted = {
        "AuthnRequestsSigned": "true" if signs_requests else "false",
        "WantAssertionsSigned": "true",
        "protocolSupportEnumeration": PROTOCOL,
    }
    descriptor = etree.SubElement(root, metadata("SPSSODescriptor"), wanted)
    for use in ("signing", "encryption"):
        for der in certificates:
            key = etree.SubElement(descriptor, metadata("KeyDescriptor"), {"use": use})
            x509_data = etree.SubElement(etree.SubElement(key, ds("KeyInfo")), ds("X509Data"))
            etree.SubElement(x509_data, ds("X509Certificate")).text = base64.b64encode(der).decode()
            for algorithm in _ENCRYPTION_METHODS if use == "encryption" else ():
                etree.SubElement(key, metadata("EncryptionMethod"), {"Algorithm": algorithm})
    service = {"Binding": HTTP_POST, "Location": acs, "index": "0", "isDefault": "true"}
    etree.SubElement(descriptor, metadata("AssertionConsumerService"), service)
    return bytes(etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True))


def _read(root: etree._Element) -> Metadata:
    if root.tag not in (metadata("EntityDescriptor"), metadata("EntitiesDescriptor")):
        raise InvalidSaml(_("it is %(name)s, not SAML 2.0 metadata", name=quoted(str(root.tag))))
    found = [one for one in root.iter(_DESCRIPTOR) if PROTOCOL in one.get("protocolSupportEnumeration", "").split()]
    if len(found) != 1:
        number = len(found)
        raise InvalidSaml(_("it describes %(number)s SAML 2.0 identity providers instead of one", number=number))
    entity = found[0].getparent()
    entity_id = "" if entity is None else entity.get("entityID", "").strip()
    if not 0 < len(entity_id) <= _LONGEST_ENTITY_ID:
        raise InvalidSaml(_("the provider's entityID is missing or too long"))
    redirect, post = (_address(found[0], binding) for binding in (HTTP_REDIRECT, HTTP_POST))
    if redirect is None and post is None:
        raise InvalidSaml(_("it has no SingleSignOnService with HTTP-Redirect or HTTP-POST"))
    wants = found[0].get("WantAuthnRequestsSigned", "").strip() in ("true", "1")
    return Metadata(entity_id, redirect, post, _certificates(found[0]), wants)


def _address(descriptor: etree._Element, binding: str) -> str | None:
    """Returns the first address with a binding. It must use HTTPS, or HTTP on a loopback host, because the browser goes
    there."""
    for service in descriptor.findall(metadata("SingleSignOnService")):
        if service.get("Binding") == binding:
            location = service.get("Location", "").strip()
            check_address(location)
            return location
    return None


def check_address(address: str) -> None:
    """Checks that the address uses HTTPS, or HTTP on a loopback host. Raises :class:`SamlRefused`."""
    try:
        parts = urlsplit(address)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    is_plain = all("!" <= letter <= "~" and letter not in "\"'<>\\`" for letter in address)
    is_secure = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    if not is_plain or not _HOST.fullmatch(host) or not is_secure or parts.fragment or "@" in parts.netloc:
        raise InvalidSaml(_("%(address)s isn't an https URL", address=quoted(address)))


def _certificates(descriptor: etree._Element) -> tuple[bytes, ...]:
    """Returns certificates of signing keys. Only uses the first of a chain, because a pinned authority would allow all
    of its certificates."""
    found: dict[bytes, None] = {}
    for key in descriptor.findall(metadata("KeyDescriptor")):
        if key.get("use", "signing") == "signing":
            for data in key.findall(f"{ds('KeyInfo')}/{ds('X509Data')}"):
                text = data.find(ds("X509Certificate"))
                if text is not None:
                    found[read_certificate(document.text_of(text))] = None
    if not found:
        raise InvalidSaml(_("it contains no signing certificate"))
    return tuple(found)


# AuthnRequests to providers, and the redirect or form that sends them (SAML bindings 3.4 and 3.5).


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
    """Returns an unsigned AuthnRequest. ``request_id`` is an XML name, which starts with a letter or ``_``.

    ``force`` means that the user must authenticate again, and ``contexts`` lists the allowed ways (SAML core
    3.3.2.2.1). There is no NameIDPolicy: providers send their configured NameID, some reject other formats, and
    djangosaml2idp rejects a policy without a format.
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
    """Returns the provider's address with the request in its query (HTTP-Redirect). ``key`` is the PEM key to sign
    with.

    The signature covers the query's exact bytes, in the order of SAML bindings 3.4.4.1.
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
    """Returns a page that posts the request automatically or with a button (HTTP-POST), and its
    Content-Security-Policy.

    ``key`` (PEM) signs the request. If it is given, ``certificate`` (DER) is included.
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
    # Browsers also apply this to redirects, and providers redirect to login pages on other origins.
    targets = "https:" if urlsplit(sso).scheme == "https" else "https: http:"
    policy = (
        f"default-src 'none'; script-src 'sha256-{_SCRIPT_HASH}'; form-action {targets}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    return page.encode(), policy


def _signed(request: bytes, key: rsa.RSAPrivateKey, certificate: bytes | None) -> bytes:
    """Returns the request with an enveloped signature directly after its Issuer, as the schema requires."""
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
    key = load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)  # make_key created it
    assert isinstance(key, rsa.RSAPrivateKey)
    return key
