"""Encrypted SAML assertions: the forms that providers send, and forms that are rejected."""

from __future__ import annotations

import base64
from typing import Any

from lxml import etree

from manifest_auth.protocols import saml
from tests.protocols.saml.verdicts import IDP, OUR_CERTIFICATE, OUR_KEY, POLICY, refuse, replaced, response, verdict
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.saml_encrypting import CIPHERS
from tests.support.saml_idp import ASSERTION, NOW_MS, Encryption, Idp, Signing, decode, encode
from tests.support.saml_signing import DS, ENC

UNREADABLE = "^the server's keys can't decrypt the assertion$"


def sealed(encryption: Encryption | None = None, idp: Idp = IDP, **options: Any) -> str:
    """A response with an assertion encrypted for us."""
    return response(idp, encrypt_for=OUR_CERTIFICATE, encryption=encryption, **options)


def signed_assertion(idp: Idp) -> bytes:
    """A signed assertion on its own."""
    inner = etree.fromstring(decode(response(idp))).find(f"{{{ASSERTION}}}Assertion")
    assert inner is not None
    return bytes(etree.tostring(inner, encoding="UTF-8"))


@matrix("cipher", CIPHERS)
@matrix("place", ["child", "retrieval", "sibling"])
@matrix("sign", ["assertion", "response", "both"])
def test_every_cipher_and_place_of_the_key(cipher: str, place: str, sign: str) -> None:
    text = sealed(Encryption(cipher=cipher, place=place), sign=sign, attributes={"a": ["x", ""]})
    assert saml.read_response(text).is_encrypted
    assert saml.read_response(text).audiences == ()
    shown = verdict(text)
    assert (shown.name_id, shown.attributes) == ("alice@acme.example", {"a": ("x", "")})


@matrix(
    "encryption",
    [
        Encryption(),
        Encryption(digest="sha1"),
        Encryption(digest="sha256"),
        Encryption(transport="rsa-oaep"),
        Encryption(transport="rsa-oaep", digest="sha256", mgf="sha256"),
        Encryption(transport="rsa-oaep", digest="sha512", mgf="sha1"),
        Encryption(transport="rsa-oaep", digest="sha384", mgf="sha384", label=b"acme"),
    ],
)
def test_every_key_transport(encryption: Encryption) -> None:
    assert verdict(sealed(encryption)).name_id == "alice@acme.example"


@matrix("sign", ["assertion", "response", "both"])
def test_prefixes_declared_outside_of_what_is_encrypted(sign: str) -> None:
    text = sealed(Encryption(bare=True), sign=sign, style="pysaml2", signing=Signing(prefixes="xs"))
    assert verdict(text).name_id == "alice@acme.example"


def test_a_clear_text_with_xml_declaration_and_line_breaks() -> None:
    clear = b"<?xml version='1.0' encoding='UTF-8'?>\n" + signed_assertion(IDP) + b"\n"
    assert verdict(sealed(Encryption(clear=clear))).name_id == "alice@acme.example"


def test_a_clear_text_that_goes_on_behind_the_assertion() -> None:
    for clear in (signed_assertion(IDP) + b"text", b"text" + signed_assertion(IDP), signed_assertion(IDP) * 2):
        refuse(sealed(Encryption(clear=clear)), "not exactly one element|can't decrypt")


def test_an_older_key_of_ours_still_reads() -> None:
    new, _ = saml.make_key("acme", NOW_MS)
    assert verdict(sealed(), POLICY._replace(decryption_keys=(new, OUR_KEY))).name_id == "alice@acme.example"
    refuse(sealed(), UNREADABLE, POLICY._replace(decryption_keys=(new,)))
    refuse(sealed(), "has no decryption key", POLICY._replace(decryption_keys=()))


def test_the_old_padding_of_keys_is_rejected_before_any_key_is_used() -> None:
    refuse(sealed(Encryption(transport="rsa-1_5")), "key transport .*rsa-1_5.* is not allowed")


@matrix(
    ("old", "new", "reason"),
    [
        (f"{ENC}aes256-cbc", f"{ENC}camellia256-cbc", "cipher .*camellia.* is not allowed"),
        (f"{ENC}rsa-oaep-mgf1p", f"{ENC}rsa-oaep", "key transport .* is not allowed"),
        ("#_key", "#_other", "0 encrypted keys"),
        ("#_key", "http://attacker.example/key", "0 encrypted keys"),
        ("<xenc:EncryptionMethod ", "<xenc:Other ", "0 of .EncryptionMethod. in"),
    ],
)
def test_what_is_not_supported_is_named(old: str, new: str, reason: str) -> None:
    refuse(replaced(sealed(Encryption(place="retrieval")), old, new), reason)


@matrix(
    ("encryption", "old", "new"),
    [
        (Encryption(digest="sha1"), f"{DS}sha1", f"{DS}md5"),
        (Encryption(transport="rsa-oaep", mgf="sha256"), "mgf1sha256", "mgf1md5"),
    ],
)
def test_digests_of_the_key_transport_that_are_not_supported(encryption: Encryption, old: str, new: str) -> None:
    refuse(replaced(sealed(encryption), old, new), "key transport with .*md5.* is not allowed")


def test_cipher_text_from_elsewhere() -> None:
    text = sealed(Encryption(place="child"))
    value = decode(text).decode().split("<xenc:CipherValue>")[1].split("<")[0]
    reference = f'<xenc:CipherReference URI="http://attacker.example/{len(value)}"/>'
    refuse(replaced(text, f"<xenc:CipherValue>{value}</xenc:CipherValue>", reference), "CipherReference")


@rule("SAML-ONE-ANSWER")
@matrix("cipher", CIPHERS)
def test_every_damage_to_cipher_text_or_key_fails_alike(cipher: str) -> None:
    """The same message for invalid padding, garbage, truncation, and another key, so that a padding oracle learns
    nothing."""
    text = sealed(Encryption(cipher=cipher))
    document = decode(text).decode()
    for part in document.split("<xenc:CipherValue>")[1:]:
        value = part.split("<")[0]
        raw = base64.b64decode(value)
        for damaged in (
            raw[:-1] + bytes([raw[-1] ^ 1]),
            raw[:-1] + bytes([raw[-1] ^ 0x80]),
            bytes([raw[0] ^ 1]) + raw[1:],
            raw[:-1],
            raw[:-16],
            raw[:16],
            raw[:1],
        ):
            refuse(replaced(text, value, encode(damaged)), UNREADABLE)
    other = response(encrypt_for=Idp(number=2).certificate_der, encryption=Encryption(cipher=cipher))
    refuse(other, UNREADABLE)


@matrix(
    "clear",
    [
        b"",
        b"no xml",
        b"<a/><a/>",
        b"<a/>text",
        b"</in><in>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        b"<a>" * 4000,
        b"\xff\xfe<\x00a\x00/\x00>\x00",
        b'<Assertion xmlns="urn:oasis:names:tc:SAML:1.0:assertion"/>',
    ],
)
def test_a_clear_text_that_is_no_assertion_is_unreadable(clear: bytes) -> None:
    for sign in ("none", "response"):
        refuse(sealed(Encryption(clear=clear), sign=sign), UNREADABLE)


def test_the_clear_text_passes_the_same_checks_as_any_assertion() -> None:
    def comment(tree: etree._Element) -> None:
        name_id = tree.find(".//{*}NameID")
        assert name_id is not None
        name_id.text = "root@acme.example"
        name_id.append(etree.Comment("x"))
        name_id[0].tail = ".attacker.example"

    def nested(tree: etree._Element) -> None:
        assertion = tree.find("{*}Assertion")
        assert assertion is not None
        advice = etree.SubElement(assertion, f"{{{ASSERTION}}}Advice")
        etree.SubElement(advice, f"{{{ASSERTION}}}Assertion", ID="_inner")

    def include(tree: etree._Element) -> None:
        add(tree, "{http://www.w3.org/2001/XInclude}include")

    def deep(tree: etree._Element) -> None:
        below = tree
        for _ in range(40):
            below = add(below, "{urn:other}x")

    def same_id(tree: etree._Element) -> None:
        assertion = tree.find("{*}Assertion")
        assert assertion is not None
        add(tree, "{urn:other}x").set("Id", assertion.get("ID", ""))

    def add(tree: etree._Element, name: str) -> etree._Element:
        assertion = tree.find("{*}Assertion")
        return etree.SubElement(
            tree if assertion is None else etree.SubElement(assertion, f"{{{ASSERTION}}}Advice"), name
        )

    for edit in (comment, nested, include, deep, same_id):
        for sign in ("assertion", "response", "both"):
            refuse(sealed(before=edit, sign=sign), UNREADABLE)
    for signing in (Signing(method="rsa-sha1"), Signing(uri=""), Signing(transforms=())):
        refuse(sealed(signing=signing), UNREADABLE)
    for clear in (b"<x>" + signed_assertion(IDP) + b"</x>", signed_assertion(IDP) * 2):
        refuse(sealed(Encryption(clear=clear)), UNREADABLE)


def test_encryption_is_no_signature() -> None:
    """Everyone has our certificate, so anyone can encrypt."""
    refuse(sealed(sign="none"), "nothing is signed")
    refuse(sealed(idp=Idp(number=1)), "no pinned certificate")


def test_both_signatures_count_around_and_inside() -> None:
    other_provider = Idp(number=1)
    assert verdict(sealed(Encryption(clear=signed_assertion(IDP)), sign="response"))
    refuse(sealed(Encryption(clear=signed_assertion(other_provider)), sign="response"), "no pinned certificate")


def test_a_cipher_text_put_under_a_foreign_envelope_signature() -> None:
    """Only the cipher text that the envelope's signature covers is decrypted."""
    mine, other = sealed(sign="response"), sealed(sign="response", name_id="root@acme.example")
    start, end = b"<e:EncryptedAssertion", b"</e:EncryptedAssertion>"
    swapped = decode(mine).split(start)[0] + start + decode(other).split(start)[1].split(end)[0] + end
    swapped += decode(mine).split(end)[1]
    refuse(encode(swapped), "no pinned certificate")


def test_an_encrypted_name_is_no_name() -> None:
    def hide(tree: etree._Element) -> None:
        name_id = tree.find(".//{*}NameID")
        assert name_id is not None
        name_id.tag = f"{{{ASSERTION}}}EncryptedID"

    refuse(response(before=hide), "0 of .NameID. in .Subject.")
