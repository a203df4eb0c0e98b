"""A genuine SAML response with one defect, for every kind of defect and every place."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
from lxml import etree

from manifest_auth.protocols import saml
from tests.protocols.saml.test_wrapping import A, Element, P, S, forged, part
from tests.protocols.saml.verdicts import response, verdict
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.saml_idp import decode, encode


def places(tree: Element) -> Iterator[tuple[int, int]]:
    """Every place in a tree: the parent's number in document order, and the index in the parent."""
    for number, parent in enumerate(tree.iter()):
        for index in range(len(parent) + 1):
            yield number, index


def numbered(tree: Element, number: int) -> Element:
    return list(tree.iter())[number]


@rule("SAML-SHAPE")
@matrix("sign", ["assertion", "response", "both"])
def test_a_forged_element_is_rejected_in_every_place_of_a_genuine_response(sign: str) -> None:
    document = decode(response(sign=sign))
    genuine = etree.fromstring(document)
    tried = 0
    for number, index in places(genuine):
        for name, new_id in ((f"{A}Assertion", True), (f"{A}Assertion", False), (f"{P}Response", True)):
            for keeps_original in (True, False):
                tree = etree.fromstring(document)
                where = numbered(tree, number)
                original = tree if name == f"{P}Response" else part(tree, name)
                twin = forged(original, new_id=new_id)
                if not keeps_original and original is not tree and original not in (where, *where.iterancestors()):
                    tree.remove(original)
                where.insert(min(index, len(where)), twin)
                with pytest.raises(saml.SamlRefused):
                    verdict(encode(etree.tostring(tree)))
                tried += 1
    assert tried > 200


@rule("SAML-SHAPE")
@matrix("sign", ["assertion", "response", "both"])
def test_the_signature_is_rejected_in_every_place_but_its_own(sign: str) -> None:
    document = decode(response(sign=sign))
    genuine = etree.fromstring(document)
    signed = P + "Response" if sign == "response" else A + "Assertion"
    for number, index in places(genuine):
        tree = etree.fromstring(document)
        where = numbered(tree, number)
        owner = tree if sign == "response" else part(tree, f"{A}Assertion")
        signature = part(owner, f"{S}Signature")
        if signature in (where, *where.iterancestors()) or where.tag == signed:
            continue
        where.insert(index, signature)
        with pytest.raises(saml.SamlRefused):
            verdict(encode(etree.tostring(tree)))


@rule("SAML-READ-SIGNED")
@matrix("sign", ["assertion", "response", "both"])
def test_no_change_of_any_text_or_attribute_changes_what_is_read(sign: str) -> None:
    text = response(sign=sign, attributes={"groups": ["Authors", "Viewers"]})
    genuine = verdict(text)
    document = decode(text)
    refused = 0
    for number, element in enumerate(etree.fromstring(document).iter()):
        for name in (None, *element.attrib):
            tree = etree.fromstring(document)
            target = numbered(tree, number)
            if name is None:
                target.text = (target.text or "") + "x"
            else:
                target.set(name, f"{target.get(name)}x")
            try:
                assert verdict(encode(etree.tostring(tree))) == genuine, (element.tag, name)
            except saml.SamlRefused:
                refused += 1
    assert refused > 50


@rule("SAML-READ-SIGNED")
@matrix("sign", ["assertion", "response", "both"])
def test_no_element_can_be_taken_out_or_doubled(sign: str) -> None:
    text = response(sign=sign, attributes={"groups": ["Authors", "Viewers"]})
    genuine = verdict(text)
    document = decode(text)
    refused = 0
    for number, element in enumerate(list(etree.fromstring(document).iter())[1:], 1):
        for act in ("remove", "double"):
            tree = etree.fromstring(document)
            target = numbered(tree, number)
            parent = target.getparent()
            assert parent is not None
            if act == "remove":
                parent.remove(target)
            else:
                target.addnext(copy.deepcopy(target))
            try:
                assert verdict(encode(etree.tostring(tree))) == genuine, (element.tag, act)
            except saml.SamlRefused:
                refused += 1
    assert refused > 50
