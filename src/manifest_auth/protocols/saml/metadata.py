"""SAML metadata (SAML metadata 2.4): reads that of providers, writes our own."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from lxml import etree

from manifest_auth.protocols.saml import document
from manifest_auth.protocols.saml.certificates import read_certificate
from manifest_auth.protocols.saml.errors import Refused, quoted
from manifest_auth.protocols.saml.names import (
    DS,
    HTTP_POST,
    HTTP_REDIRECT,
    METADATA,
    PROTOCOL,
    XENC,
    XENC11,
    ds,
    metadata,
)

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
    """The one identity provider of a metadata document.

    A signature of the document is not checked: the administrator who imports it is responsible. Nothing in it disables
    a check. Raises :class:`Refused` with a sentence for the administrator.
    """
    try:
        root = document.parse(content, largest=_LARGEST, comments=True)
        return _read(root)
    except Refused as reason:
        raise Refused(f"This metadata cannot be used: {str(reason).rstrip('.')}.") from None


def sp_metadata(entity_id: str, acs: str, certificates: Sequence[bytes], signs_requests: bool) -> bytes:
    """Our metadata for a provider: entity id, assertion consumer address and certificates (DER, newest first).

    Each certificate is for signing and encryption, so that one key at a time is replaced; WantAssertionsSigned is set.
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
        raise Refused(f"it is no SAML 2.0 metadata but {quoted(str(root.tag))}")
    found = [one for one in root.iter(_DESCRIPTOR) if PROTOCOL in one.get("protocolSupportEnumeration", "").split()]
    if len(found) != 1:
        raise Refused(f"it describes {len(found)} SAML 2.0 identity providers instead of one")
    entity = found[0].getparent()
    entity_id = "" if entity is None else entity.get("entityID", "").strip()
    if not 0 < len(entity_id) <= _LONGEST_ENTITY_ID:
        raise Refused("the provider's entityID is missing or too long")
    redirect, post = (_address(found[0], binding) for binding in (HTTP_REDIRECT, HTTP_POST))
    if redirect is None and post is None:
        raise Refused("it names no SingleSignOnService with HTTP-Redirect or HTTP-POST")
    wants = found[0].get("WantAuthnRequestsSigned", "").strip() in ("true", "1")
    return Metadata(entity_id, redirect, post, _certificates(found[0]), wants)


def _address(descriptor: etree._Element, binding: str) -> str | None:
    """The first address with a binding; https, or http of a loopback host, since the browser goes there."""
    for service in descriptor.findall(metadata("SingleSignOnService")):
        if service.get("Binding") == binding:
            location = service.get("Location", "").strip()
            check_address(location)
            return location
    return None


def check_address(address: str) -> None:
    """Checks that it is an https address (http only of a loopback host). Raises :class:`Refused`."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    is_plain = all("!" <= letter <= "~" and letter not in "\"'<>\\`" for letter in address)
    is_secure = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    if not is_plain or not _HOST.fullmatch(host) or not is_secure or parts.fragment or "@" in parts.netloc:
        raise Refused(f"{quoted(address)} is no https address")


def _certificates(descriptor: etree._Element) -> tuple[bytes, ...]:
    """Certificates of signing keys. Only the first of a chain: a pinned authority would allow all its certificates."""
    found: dict[bytes, None] = {}
    for key in descriptor.findall(metadata("KeyDescriptor")):
        if key.get("use", "signing") == "signing":
            for data in key.findall(f"{ds('KeyInfo')}/{ds('X509Data')}"):
                text = data.find(ds("X509Certificate"))
                if text is not None:
                    found[read_certificate(document.text_of(text))] = None
    if not found:
        raise Refused("it holds no signing certificate")
    return tuple(found)
