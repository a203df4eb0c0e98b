"""Encrypted assertions: RSA-OAEP for the key, AES or Triple DES for the assertion (XML Encryption 1.1).

Encrypted content is not trusted: the clear text goes through the same parser and shape checks, and needs a signature,
its own or that of the whole response over the cipher text. In the second case only the verified bytes are decrypted.

AES-CBC is malleable: an attacker who learns why a changed cipher text was refused can decrypt it (Jager and Somorovsky,
2011). So every failure between the key and the parsed element has the same text, wrong padding is not detected as such,
and PKCS #1 v1.5 for the key (Bleichenbacher) is refused by name.

Triple DES is accepted but not advertised: pysaml2 supports nothing else. Its short block is a weakness only after
gigabytes with one key, not for one assertion.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree

from manifest_auth.errors import Reason
from manifest_auth.protocols.saml import document
from manifest_auth.protocols.saml.document import DS, MORE, XENC, XENC11, InvalidSaml, SamlRefused, ds, quoted, xenc
from manifest_auth.protocols.saml.shape import only_child
from manifest_auth.protocols.saml.signatures import base64_of

UNREADABLE: Final = Reason(
    "response: the encrypted assertion cannot be read with our keys",
    cause="encrypted for an old or foreign certificate",
    cure="give the provider our newest certificate",
)

#: Algorithm address to the name of the mode and the bytes of the key.
_CIPHERS: Final = (
    {f"{XENC}aes{bits}-cbc": ("cbc", bits // 8) for bits in (128, 192, 256)}
    | {f"{XENC11}aes{bits}-gcm": ("gcm", bits // 8) for bits in (128, 192, 256)}
    | {f"{XENC}tripledes-cbc": ("3des", 24)}
)
_TRANSPORTS: Final = (f"{XENC}rsa-oaep-mgf1p", f"{XENC11}rsa-oaep")
#: Hashes of the OAEP padding, for which SHA-1 is safe: it does not depend on collision resistance.
_DIGESTS: Final[dict[str, type[hashes.HashAlgorithm]]] = {
    f"{DS}sha1": hashes.SHA1,
    f"{XENC}sha256": hashes.SHA256,
    f"{MORE}sha384": hashes.SHA384,
    f"{XENC}sha512": hashes.SHA512,
}
_MASKS: Final[dict[str, type[hashes.HashAlgorithm]]] = {
    f"{XENC11}mgf1sha1": hashes.SHA1,
    f"{XENC11}mgf1sha256": hashes.SHA256,
    f"{XENC11}mgf1sha384": hashes.SHA384,
    f"{XENC11}mgf1sha512": hashes.SHA512,
}
_MOST_KEYS = 4


def decrypted(encrypted: etree._Element, private_keys: Sequence[bytes]) -> etree._Element:
    """The element inside an EncryptedAssertion, as the root of its own document. ``private_keys``: PEM.

    Raises :class:`SamlRefused`: with a reason for unsupported algorithms, with :data:`UNREADABLE` for other failures.
    """
    if not private_keys:
        raise InvalidSaml("the assertion is encrypted and the provider has no decryption key")
    data = only_child(encrypted, xenc("EncryptedData"))
    mode, size = _cipher(data)
    value = _value(data)
    wrapped = [(_padding(key), _value(key)) for key in _encrypted_keys(encrypted, data)]
    for pem in private_keys[:_MOST_KEYS]:
        # Without validation, since make_key made the key; the validation takes 30 times as long as the decryption.
        private = load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
        assert isinstance(private, rsa.RSAPrivateKey)
        for oaep, content in wrapped:
            clear = _clear(private, oaep, content, size, mode, value)
            if clear is not None:
                with contextlib.suppress(SamlRefused):
                    return document.parse_inside(clear, encrypted.nsmap)
    raise SamlRefused(UNREADABLE)


def _encrypted_keys(encrypted: etree._Element, data: etree._Element) -> list[etree._Element]:
    """The EncryptedKey elements: in KeyInfo, or siblings of EncryptedData, named by RetrievalMethod or the only ones.

    Only siblings are considered, whatever a RetrievalMethod names.
    """
    beside = encrypted.findall(xenc("EncryptedKey"))
    key_info = data.find(ds("KeyInfo"))
    inside = [] if key_info is None else key_info.findall(xenc("EncryptedKey"))
    references = [] if key_info is None else key_info.findall(ds("RetrievalMethod"))
    found = inside or beside
    if references and not inside:
        named = {reference.get("URI") for reference in references}
        found = [key for key in beside if f"#{key.get('Id')}" in named]
    if not 0 < len(found) <= _MOST_KEYS or len(inside) + len(beside) > _MOST_KEYS:
        raise InvalidSaml(f"{len(found)} encrypted keys for the assertion")
    return found


def _cipher(data: etree._Element) -> tuple[str, int]:
    address = only_child(data, xenc("EncryptionMethod")).get("Algorithm", "")
    if address not in _CIPHERS:
        raise InvalidSaml(f"cipher {quoted(address)} is not allowed")
    return _CIPHERS[address]


def _value(parent: etree._Element) -> bytes:
    return base64_of(only_child(only_child(parent, xenc("CipherData")), xenc("CipherValue")))


def _padding(key: etree._Element) -> padding.OAEP:
    """The OAEP padding that an EncryptedKey names; SHA-1 by default (XML Encryption 5.5.2)."""
    method = only_child(key, xenc("EncryptionMethod"))
    if method.get("Algorithm") not in _TRANSPORTS:
        raise InvalidSaml(f"key transport {quoted(method.get('Algorithm'))} is not allowed")
    digest = _named(method, ds("DigestMethod"), _DIGESTS, hashes.SHA1)
    mask = _named(method, f"{{{XENC11}}}MGF", _MASKS, hashes.SHA1)
    if method.get("Algorithm") == _TRANSPORTS[0]:
        mask = hashes.SHA1
    label = method.find(xenc("OAEPparams"))
    return padding.OAEP(padding.MGF1(mask()), digest(), None if label is None else base64_of(label))


def _named(
    method: etree._Element,
    name: str,
    allowed: dict[str, type[hashes.HashAlgorithm]],
    usual: type[hashes.HashAlgorithm],
) -> type[hashes.HashAlgorithm]:
    found = method.find(name)
    if found is None:
        return usual
    if found.get("Algorithm") not in allowed:
        raise InvalidSaml(f"key transport with {quoted(found.get('Algorithm'))} is not allowed")
    return allowed[found.get("Algorithm", "")]


def _clear(
    private: rsa.RSAPrivateKey, oaep: padding.OAEP, wrapped: bytes, size: int, mode: str, value: bytes
) -> bytes | None:
    """The clear text; None when the key is not for us or GCM detects a change."""
    try:
        key = private.decrypt(wrapped, oaep)
        if len(key) != size:
            return None
        if mode == "gcm":
            return AESGCM(key).decrypt(value[:12], value[12:], None)
        cipher, block = (TripleDES(key), 8) if mode == "3des" else (algorithms.AES(key), 16)
        decryptor = Cipher(cipher, modes.CBC(value[:block])).decryptor()
        padded = decryptor.update(value[block:]) + decryptor.finalize()
    except (ValueError, InvalidTag):
        return None
    # With wrong padding the parser fails, as for any other damage.
    return padded[: len(padded) - min(padded[-1], block)] if padded else None
