"""SAML certificates: those that administrators enter, and our own."""

from __future__ import annotations

import hashlib
import textwrap
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from manifest_auth.protocols import saml
from tests.protocols.saml.verdicts import IDP
from tests.support.matrix import matrix
from tests.support.saml_idp import NOW_MS, Idp, encode

PEM = IDP.certificate_pem


def certificate_of(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idp.example")])
    since, until = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, since, until)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(serialization.Encoding.PEM).decode()


@matrix(
    "text",
    [
        PEM,
        PEM.replace("\n", "\r\n"),
        f"subject=CN = idp.example\nBag Attributes\n{PEM}\n",
        encode(IDP.certificate_der),
        "\n  ".join(textwrap.wrap(encode(IDP.certificate_der), 64)),
        f"  {encode(IDP.certificate_der)}\n",
    ],
)
def test_pem_and_bare_base64(text: str) -> None:
    assert saml.read_certificate(text) == IDP.certificate_der


@matrix("kind", ["ec", "ec384"])
def test_elliptic_curves(kind: str) -> None:
    assert saml.read_certificate(Idp(key_kind=kind).certificate_pem)


@matrix(
    ("text", "reason"),
    [
        ("", "isn't an X.509 certificate"),
        ("hello", "isn't an X.509 certificate"),
        ("AAAA", "isn't an X.509 certificate"),
        (encode(IDP.certificate_der[:-10]), "isn't an X.509 certificate"),
        (PEM.replace("-----BEGIN", "----BEGIN"), "isn't an X.509 certificate"),
        (PEM + PEM, "several certificates or keys"),
        (PEM.replace("CERTIFICATE", "PRIVATE KEY"), "is a private key, not a certificate"),
        ("A" * 70_000, "too long"),
        (Idp(key_kind="rsa1024").certificate_pem, "RSA key has 1024 bits. It must have 2048 to 8192"),
        (certificate_of(ec.generate_private_key(ec.SECP256K1())), "curve secp256k1 isn't allowed"),
        (certificate_of(ed25519.Ed25519PrivateKey.generate()), "must be RSA or elliptic curve"),
    ],
    ids=[f"case {number}" for number in range(11)],
)
def test_what_no_one_should_pin_is_explained(text: str, reason: str) -> None:
    with pytest.raises(saml.SamlRefused, match=reason):
        saml.read_certificate(text)


def test_facts() -> None:
    idp = Idp(not_before_ms=NOW_MS - 5000, not_after_ms=NOW_MS + 5000)
    facts = saml.certificate_facts(idp.certificate_der)
    assert facts == saml.CertificateFacts(
        subject="CN=idp.example",
        not_before=NOW_MS - 5000,
        not_after=NOW_MS + 5000,
        fingerprint=hashlib.sha256(idp.certificate_der).hexdigest(),
    )


def test_our_key_and_its_certificate() -> None:
    private, der = saml.make_key("acme " + "x" * 100, NOW_MS)
    key = serialization.load_pem_private_key(private, password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 2048
    certificate = x509.load_der_x509_certificate(der)
    assert certificate.public_key() == key.public_key()
    certificate.verify_directly_issued_by(certificate)
    facts = saml.certificate_facts(saml.read_certificate(encode(der)))
    assert facts.subject.startswith("CN=acme x")
    assert facts.not_before <= NOW_MS - 3_600_000
    assert facts.not_after - NOW_MS == 20 * 365 * 86_400_000


def test_every_key_is_another() -> None:
    (one, first), (two, second) = saml.make_key("acme", NOW_MS), saml.make_key("acme", NOW_MS)
    assert one != two
    assert first != second
