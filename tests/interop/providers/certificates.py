"""Keys and self-signed certificates for SAML providers."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

_PEM = serialization.Encoding.PEM


def make(folder: Path, name: str) -> tuple[Path, Path]:
    """Create an RSA key and a certificate for one year: files ``NAME.key`` (PKCS#1) and ``NAME.crt`` (PEM)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(_PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    key_file, certificate_file = folder / f"{name}.key", folder / f"{name}.crt"
    key_file.write_bytes(pem)
    certificate_file.write_bytes(certificate.public_bytes(_PEM))
    return key_file, certificate_file


def body(certificate: str) -> str:
    """A PEM certificate without its first and last line and without line breaks, as in XML documents."""
    return "".join(line for line in certificate.splitlines() if "-----" not in line)
