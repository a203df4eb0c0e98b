"""Encrypted SAML assertions for tests, in every form that providers are known to send."""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree

from tests.support.saml_signing import ASSERTION, DIGESTS, DS, ENC

ENC11 = "http://www.w3.org/2009/xmlenc11#"
CIPHERS = (
    {"tripledes-cbc": f"{ENC}tripledes-cbc"}
    | {f"aes{bits}-cbc": f"{ENC}aes{bits}-cbc" for bits in (128, 192, 256)}
    | {f"aes{bits}-gcm": f"{ENC11}aes{bits}-gcm" for bits in (128, 192, 256)}
)
TRANSPORTS = {
    "rsa-oaep-mgf1p": f"{ENC}rsa-oaep-mgf1p",
    "rsa-oaep": f"{ENC11}rsa-oaep",
    "rsa-1_5": f"{ENC}rsa-1_5",
}


@dataclass(frozen=True)
class Encryption:
    """``digest`` and ``mgf`` configure the OAEP padding; if empty, they aren't written, which means SHA-1.

    ``place`` is the position of the EncryptedKey: child (of KeyInfo), retrieval (a sibling that RetrievalMethod refers
    to, as Okta sends it), or sibling (the only one). ``bare`` omits the declarations of ancestors' prefixes from the
    clear text. ``clear`` replaces the assertion. ``label`` is OAEPparams.
    """

    cipher: str = "aes256-cbc"
    transport: str = "rsa-oaep-mgf1p"
    digest: str = ""
    mgf: str = ""
    place: str = "child"
    bare: bool = False
    clear: bytes | None = None
    label: bytes = b""


def encrypt(response: etree._Element, certificate: bytes, how: Encryption) -> None:
    """Replace the Assertion of a response with an EncryptedAssertion for the owner of a certificate (DER)."""
    assertion = response.find(f"{{{ASSERTION}}}Assertion")
    assert assertion is not None
    clear = how.clear if how.clear is not None else etree.tostring(assertion)
    if how.bare:
        clear = re.sub(rb'\A(<[^>]*?) xmlns(:\w+)?="' + ASSERTION.encode() + b'"', rb"\1", clear)
    key = os.urandom(24 if how.cipher == "tripledes-cbc" else int(how.cipher[3:6]) // 8)
    public = x509.load_der_x509_certificate(certificate).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    key_text = _encrypted_key(public.encrypt(key, _padding(how)), how)
    data_text = _data(clear, key, how)
    inside, beside = ("", "")
    if how.place == "child":
        inside = f'<ds:KeyInfo xmlns:ds="{DS}">{key_text}</ds:KeyInfo>'
    else:
        beside = key_text
        if how.place == "retrieval":
            method = f'<ds:RetrievalMethod Type="{ENC}EncryptedKey" URI="#_key"/>'
            inside = f'<ds:KeyInfo xmlns:ds="{DS}">{method}</ds:KeyInfo>'
    wrapped = etree.fromstring(
        f'<e:EncryptedAssertion xmlns:e="{ASSERTION}"><xenc:EncryptedData xmlns:xenc="{ENC}" Id="_data" '
        f'Type="{ENC}Element"><xenc:EncryptionMethod Algorithm="{CIPHERS[how.cipher]}"/>{inside}'
        f"<xenc:CipherData><xenc:CipherValue>{data_text}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>"
        f"{beside}</e:EncryptedAssertion>"
    )
    response.replace(assertion, wrapped)


def _data(clear: bytes, key: bytes, how: Encryption) -> str:
    """IV and cipher text in base64. CBC is padded according to XML Encryption 5.2: random bytes, then their count."""
    if how.cipher.endswith("gcm"):
        nonce = os.urandom(12)
        return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, clear, None)).decode()
    cipher = TripleDES(key) if how.cipher == "tripledes-cbc" else algorithms.AES(key)
    block = cipher.block_size // 8
    count = block - len(clear) % block
    vector = os.urandom(block)
    encryptor = Cipher(cipher, modes.CBC(vector)).encryptor()
    padded = clear + os.urandom(count - 1) + bytes([count])
    return base64.b64encode(vector + encryptor.update(padded) + encryptor.finalize()).decode()


def _padding(how: Encryption) -> padding.AsymmetricPadding:
    if how.transport == "rsa-1_5":
        return padding.PKCS1v15()
    digest: hashes.HashAlgorithm = DIGESTS[how.digest or "sha1"][1]()
    mask: hashes.HashAlgorithm = DIGESTS[how.mgf or "sha1"][1]()
    return padding.OAEP(padding.MGF1(mask), digest, how.label or None)


def _encrypted_key(encrypted: bytes, how: Encryption) -> str:
    label = f"<xenc:OAEPparams>{base64.b64encode(how.label).decode()}</xenc:OAEPparams>" if how.label else ""
    digest = f'<ds:DigestMethod xmlns:ds="{DS}" Algorithm="{DIGESTS[how.digest][0]}"/>' if how.digest else ""
    mask = f'<x11:MGF xmlns:x11="{ENC11}" Algorithm="{ENC11}mgf1{how.mgf}"/>' if how.mgf else ""
    return (
        f'<xenc:EncryptedKey xmlns:xenc="{ENC}" Id="_key">'
        f'<xenc:EncryptionMethod Algorithm="{TRANSPORTS[how.transport]}">{label}{digest}{mask}</xenc:EncryptionMethod>'
        f"<xenc:CipherData><xenc:CipherValue>{base64.b64encode(encrypted).decode()}</xenc:CipherValue>"
        "</xenc:CipherData></xenc:EncryptedKey>"
    )
