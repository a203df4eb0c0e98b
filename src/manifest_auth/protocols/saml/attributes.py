"""Attributes of a verified assertion."""

from __future__ import annotations

from lxml import etree

from manifest_auth.protocols.saml.document import text_of
from manifest_auth.protocols.saml.errors import Refused
from manifest_auth.protocols.saml.names import assertion


def read_attributes(element: etree._Element) -> dict[str, tuple[str, ...]]:
    """Values by Name, without surrounding white space, empty ones included. A repeated attribute has all values.

    A FriendlyName is a key too, unless it is the Name of another attribute or the FriendlyName of an earlier one.
    Raises :class:`Refused` for an attribute without name.
    """
    named: dict[str, tuple[str, ...]] = {}
    friendly: dict[str, str] = {}
    for statement in element.findall(assertion("AttributeStatement")):
        for attribute in statement.findall(assertion("Attribute")):
            name = attribute.get("Name")
            if not name:
                raise Refused("an Attribute has no Name")
            named[name] = named.get(name, ()) + _values(attribute)
            friendly.setdefault(attribute.get("FriendlyName") or name, name)
    return {**{alias: named[name] for alias, name in friendly.items()}, **named}


def _values(attribute: etree._Element) -> tuple[str, ...]:
    """The texts. For a NameID (eduPersonTargetedID) its text; other XML is ignored."""
    values = []
    for value in attribute.findall(assertion("AttributeValue")):
        inner = value[0] if len(value) == 1 and value[0].tag == assertion("NameID") else value
        if not len(inner):
            values.append(text_of(inner).strip())
    return tuple(values)
