"""SAML signature wrapping: a signed element is moved, and a forged one put in its place (XSW 1 to 8 and others)."""

from __future__ import annotations

import copy
from collections.abc import Callable

from lxml import etree

from tests.protocols.saml.verdicts import OUR_CERTIFICATE, refuse, response
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.saml_idp import ASSERTION, PROTOCOL, decode, encode
from tests.support.saml_signing import DS

EVIL = "root@acme.example"
Element = etree._Element
A, P, S = f"{{{ASSERTION}}}", f"{{{PROTOCOL}}}", f"{{{DS}}}"


def part(tree: Element, path: str) -> Element:
    found = tree.find(path)
    assert found is not None, path
    return found


def forged(element: Element, *, new_id: bool = True, signed: bool = False) -> Element:
    """A copy with another person."""
    twin = copy.deepcopy(element)
    for name_id in twin.iter(f"{A}NameID"):
        name_id.text = EVIL
    if new_id:
        for one in twin.iter(f"{P}Response", f"{A}Assertion"):
            one.set("ID", f"_forged{one.get('ID')}")
    if not signed:
        for signature in list(twin.iter(f"{S}Signature")):
            signature.getparent().remove(signature)  # type: ignore[union-attr]
    return twin


def without_signature(element: Element) -> Element:
    twin = copy.deepcopy(element)
    twin.remove(part(twin, f"{S}Signature"))
    return twin


def xsw1(root: Element) -> Element:
    """A forged Response with a Signature that contains the original Response."""
    evil = forged(root, signed=True)
    part(evil, f"{S}Signature").append(without_signature(root))
    return evil


def xsw2(root: Element) -> Element:
    """A forged Response with the original one before its Signature."""
    evil = forged(root, signed=True)
    part(evil, f"{S}Signature").addprevious(without_signature(root))
    return evil


def xsw3(root: Element) -> Element:
    """A forged Assertion before the original."""
    original = part(root, f"{A}Assertion")
    original.addprevious(forged(original))
    return root


def xsw4(root: Element) -> Element:
    """A forged Assertion around the original."""
    original = part(root, f"{A}Assertion")
    evil = forged(original)
    root.replace(original, evil)
    evil.append(original)
    return root


def xsw5(root: Element) -> Element:
    """A forged Assertion with the Signature; the original is at the end, without it."""
    original = part(root, f"{A}Assertion")
    evil = forged(original, signed=True)
    root.replace(original, evil)
    root.append(without_signature(original))
    return root


def xsw6(root: Element) -> Element:
    """A forged Assertion with a Signature that contains the original."""
    original = part(root, f"{A}Assertion")
    evil = forged(original, signed=True)
    root.replace(original, evil)
    part(evil, f"{S}Signature").append(without_signature(original))
    return root


def xsw7(root: Element) -> Element:
    """A forged Assertion inside Extensions."""
    original = part(root, f"{A}Assertion")
    extensions = etree.Element(f"{P}Extensions")
    extensions.append(forged(original))
    original.addprevious(extensions)
    return root


def xsw8(root: Element) -> Element:
    """A forged Assertion, with the original in an Object of its Signature."""
    original = part(root, f"{A}Assertion")
    evil = forged(original, signed=True)
    root.replace(original, evil)
    etree.SubElement(part(evil, f"{S}Signature"), f"{S}Object").append(without_signature(original))
    return root


@rule("SAML-SHAPE")
@matrix(
    ("attack", "sign", "reason"),
    [
        (xsw1, "response", "at most one KeyInfo"),
        (xsw2, "response", "Response. in .Response"),
        (xsw3, "assertion", "2 assertions"),
        (xsw4, "assertion", "Assertion. in .Assertion"),
        (xsw5, "assertion", "2 assertions|not to its parent"),
        (xsw6, "assertion", "at most one KeyInfo"),
        (xsw7, "assertion", "2 assertions"),
        (xsw8, "assertion", "Object. in .Signature"),
    ],
)
def test_the_eight_known_ways(attack: Callable[[Element], Element], sign: str, reason: str) -> None:
    for way in {sign, "both"}:
        tree = etree.fromstring(decode(response(sign=way)))
        refuse(encode(etree.tostring(attack(tree))), reason)


def test_an_assertion_beside_an_encrypted_one() -> None:
    plain = etree.fromstring(decode(response()))
    tree = etree.fromstring(decode(response(encrypt_for=OUR_CERTIFICATE)))
    tree.append(forged(part(plain, f"{A}Assertion")))
    refuse(encode(etree.tostring(tree)), "2 assertions")


def test_the_only_assertion_stands_elsewhere() -> None:
    def move(tree: Element) -> None:
        extensions = etree.Element(f"{P}Extensions")
        extensions.append(part(tree, f"{A}Assertion"))
        part(tree, f"{P}Status").addprevious(extensions)

    for way in ("assertion", "response"):
        refuse(response(after=move, sign=way), "the assertion isn't a child of the response")


def test_the_same_names_in_a_foreign_namespace() -> None:
    def add(tree: Element) -> None:
        extensions = etree.Element(f"{P}Extensions")
        etree.SubElement(extensions, "{urn:other}Assertion", ID="_x")
        part(tree, f"{P}Status").addprevious(extensions)

    refuse(response(after=add), "foreign namespace")


@rule("SAML-SHAPE")
@matrix("name", ["ID", "Id", "id", "{http://www.w3.org/XML/1998/namespace}id", "{urn:other}Id"])
def test_an_id_is_given_once_in_any_spelling(name: str) -> None:
    def add(tree: Element) -> None:
        extensions = etree.Element(f"{P}Extensions")
        etree.SubElement(extensions, "{urn:other}thing", {name: part(tree, f"{A}Assertion").get("ID", "")})
        part(tree, f"{P}Status").addprevious(extensions)

    refuse(response(after=add), "used twice")


def test_response_and_assertion_with_one_id() -> None:
    refuse(response(response_id="_1", assertion_id="_1"), "used twice")


def test_ids_that_are_no_names() -> None:
    for bad in ("", "a b", "#a", "a'b", "x" * 257):
        refuse(response(assertion_id=bad or "\t"), "no valid ID")
