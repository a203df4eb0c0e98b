"""X.509 certificates: those of providers, whose keys are pinned, and our own."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from manifest_auth.protocols.saml.errors import Refused

_LONGEST = 64 * 1024
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_RSA_BITS = range(2048, 8192 + 1)
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_OUR_YEARS = 20
_BACKDATED = timedelta(days=1)  # for providers with a slow clock
_LONGEST_COMMON_NAME = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class CertificateFacts(NamedTuple):
    """Facts by which an administrator recognises a certificate. Times in milliseconds; SHA-256 in hexadecimal
    digits."""

    subject: str
    not_before: int
    not_after: int
    fingerprint: str


def read_certificate(text: str) -> bytes:
    """One certificate as DER, from PEM or from plain base64, as consoles and metadata show it.

    Raises :class:`Refused`, with a sentence for an administrator, for anything else and for unsafe keys: RSA under 2048
    bits, curves other than P-256, P-384 and P-521, and all other kinds.
    """
    if len(text) > _LONGEST:
        raise Refused("This is too long to be a certificate.")
    blocks = _PEM.findall(text)
    if len(blocks) > 1:
        raise Refused("This holds several certificates or keys; give one at a time.")
    if blocks and blocks[0][0] != "CERTIFICATE":
        raise Refused(f"This is no certificate but a {blocks[0][0].lower()}.")
    body = "".join((blocks[0][1] if blocks else text).split())
    try:
        der = base64.b64decode(body, validate=True)
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
    except (ValueError, binascii.Error, UnsupportedAlgorithm, x509.UnsupportedGeneralNameType):
        raise Refused("This is no X.509 certificate in PEM or base64.") from None
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size not in _RSA_BITS:
            raise Refused(f"The certificate's RSA key has {key.key_size} bits; 2048 to 8192 are allowed.")
    elif not isinstance(key, ec.EllipticCurvePublicKey):
        raise Refused("The certificate's key is neither RSA nor elliptic curve (ECDSA).")
    elif key.curve.name not in _CURVES:
        raise Refused(f"The certificate's curve {key.curve.name} is not allowed; P-256, P-384 and P-521 are.")
    return der


def certificate_facts(der: bytes) -> CertificateFacts:
    """The facts of a certificate that :func:`read_certificate` accepted."""
    certificate = x509.load_der_x509_certificate(der)
    return CertificateFacts(
        subject=certificate.subject.rfc4514_string(),
        not_before=_ms(certificate.not_valid_before_utc),
        not_after=_ms(certificate.not_valid_after_utc),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def make_key(common_name: str, now_ms: int) -> tuple[bytes, bytes]:
    """A new RSA key of 2048 bits (PEM, PKCS #8) and its self-signed certificate (DER), valid for 20 years.

    Providers encrypt with it and verify our requests with it. They pin it, so the certificate needs no authority.
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
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, certificate.public_bytes(Encoding.DER)


def _ms(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)
