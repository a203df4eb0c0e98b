"""SAML attributes in the formats that providers use."""

from __future__ import annotations

from lxml import etree

from tests.protocols.saml.test_wrapping import A, Element, part
from tests.protocols.saml.verdicts import refuse, response, verdict
from tests.support.matrix import matrix


def statement(xml: str) -> dict[str, tuple[str, ...]]:
    """The parsed attributes, exactly as written, with the assertion namespace as the default."""

    def add(tree: Element) -> None:
        text = f'<AttributeStatement xmlns="{A[1:-1]}">{xml}</AttributeStatement>'
        part(tree, f"{A}Assertion").append(etree.fromstring(text))

    return verdict(response(before=add)).attributes


@matrix(
    ("xml", "read"),
    [
        ("", {}),
        ('<Attribute Name="a"/>', {"a": ()}),
        ('<Attribute Name="a"><AttributeValue/></Attribute>', {"a": ("",)}),
        ('<Attribute Name="a"><AttributeValue>\n  x y\t</AttributeValue></Attribute>', {"a": ("x y",)}),
        (
            '<Attribute Name="a"><AttributeValue>R&amp;D &lt;&#x41;&gt;</AttributeValue></Attribute>',
            {"a": ("R&D <A>",)},
        ),
        (
            '<Attribute Name="a"><AttributeValue>x</AttributeValue></Attribute>'
            '<Attribute Name="a"><AttributeValue>y</AttributeValue></Attribute>',
            {"a": ("x", "y")},
        ),
        (
            '<Attribute Name="urn:oid:1" FriendlyName="mail"><AttributeValue>x</AttributeValue></Attribute>',
            {"urn:oid:1": ("x",), "mail": ("x",)},
        ),
        (
            '<Attribute Name="urn:oid:1" FriendlyName="mail"><AttributeValue>x</AttributeValue></Attribute>'
            '<Attribute Name="mail"><AttributeValue>y</AttributeValue></Attribute>',
            {"urn:oid:1": ("x",), "mail": ("y",)},
        ),
        (
            '<Attribute Name="urn:oid:1" FriendlyName="mail"><AttributeValue>x</AttributeValue></Attribute>'
            '<Attribute Name="urn:oid:2" FriendlyName="mail"><AttributeValue>y</AttributeValue></Attribute>',
            {"urn:oid:1": ("x",), "urn:oid:2": ("y",), "mail": ("x",)},
        ),
        (
            '<Attribute Name="id"><AttributeValue><NameID>x</NameID></AttributeValue></Attribute>',
            {"id": ("x",)},
        ),
        (
            '<Attribute Name="a"><AttributeValue><p xmlns="urn:other">x</p></AttributeValue>'
            "<AttributeValue>y</AttributeValue></Attribute>",
            {"a": ("y",)},
        ),
    ],
)
def test_what_is_read(xml: str, read: dict[str, tuple[str, ...]]) -> None:
    assert statement(xml) == read


def test_several_statements() -> None:
    xml = '<Attribute Name="b"><AttributeValue>x</AttributeValue></Attribute>'

    def add(tree: Element) -> None:
        text = f'<AttributeStatement xmlns="{A[1:-1]}">{xml}</AttributeStatement>'
        part(tree, f"{A}Assertion").append(etree.fromstring(text))

    assert verdict(response(before=add, attributes={"a": "y"})).attributes == {"a": ("y",), "b": ("x",)}


def test_attributes_of_an_advice_are_no_ones() -> None:
    def add(tree: Element) -> None:
        advice = etree.Element(f"{A}Advice")
        advice.append(part(tree, f".//{A}AttributeStatement"))
        part(tree, f".//{A}Conditions").addnext(advice)

    assert verdict(response(before=add, attributes={"role": "Admin"})).attributes == {}


def test_an_attribute_without_a_name() -> None:
    refuse(response(attributes={"": "x"}), "an Attribute has no Name")
