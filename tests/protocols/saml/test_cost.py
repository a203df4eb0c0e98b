"""A hostile SAML response costs less than a large genuine one.

It's rejected before expensive work, which is compared and never timed.
"""

from __future__ import annotations

import contextlib
from functools import lru_cache

import pytest

from manifest_auth.protocols import saml
from tests.protocols.saml.verdicts import OUR_CERTIFICATE, replaced, response, verdict
from tests.support.cost import times_as_dear
from tests.support.matrix import matrix, some_of
from tests.support.rules import rule
from tests.support.saml_idp import Encryption, decode, encode
from tests.support.saml_signing import EXCLUSIVE

STATUS = "<saml2p:Status>"
LONG = "urn:" + "x" * 195


def in_extensions(xml: str) -> str:
    return replaced(response(sign="both"), STATUS, f"<saml2p:Extensions>{xml}</saml2p:Extensions>{STATUS}")


def in_signature(tag: str, xml: str) -> str:
    return replaced(response(sign="both"), f"<ds:{tag}>", f"<ds:{tag}>{xml}")


def laughs(levels: int) -> bytes:
    entities = "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, levels))
    return f'<!DOCTYPE a [<!ENTITY e0 "ha">{entities}]><a>&e{levels - 1};</a>'.encode()


BOMBS = {
    "entities": lambda: encode(laughs(20)),
    "entities in utf-16": lambda: encode(laughs(20).decode().encode("utf-16")),
    "depth": lambda: in_extensions("<a>" * 40_000),
    "depth that is closed": lambda: in_extensions("<a>" * 2900 + "</a>" * 2900),
    "elements": lambda: in_extensions("<a/>" * 50_000),
    "attributes": lambda: in_extensions("<a " + " ".join(f'a{number}=""' for number in range(26_000)) + "/>"),
    "declarations of one": lambda: in_extensions(
        "<a " + " ".join(f'xmlns:a{number}="u:{number}"' for number in range(11_000)) + "/>"
    ),
    "declarations": lambda: in_extensions("".join(f'<a xmlns:a{number}="u:{number}"/>' for number in range(5_500))),
    "ids": lambda: in_extensions("".join(f'<a ID="{number}"/>' for number in range(5_500))),
    "declarations that canonical forms repeat": lambda: in_extensions(
        f'<a xmlns:p="{LONG}">' + "<p:x/>" * 5_500 + "</a>"
    ),
    "text": lambda: in_extensions("x" * 250_000),
    "references of characters": lambda: in_extensions("&#120;" * 40_000),
    "transforms": lambda: in_signature("Transforms", f'<ds:Transform Algorithm="{EXCLUSIVE}"/>' * 2_500),
    "stylesheet": lambda: in_signature(
        "Transforms",
        '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116">'
        '<s:stylesheet version="1.0" xmlns:s="http://www.w3.org/1999/XSL/Transform"/></ds:Transform>',
    ),
    "references": lambda: in_signature("SignedInfo", '<ds:Reference URI="#a"/>' * 5_500),
    "signatures": lambda: in_extensions('<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/>' * 3_000),
    "signature value": lambda: in_signature("SignatureValue", "A" * 240_000),
    "digest": lambda: in_signature("DigestValue", "A" * 240_000),
    "base64 without end": lambda: "A" * 390_000,
    "line breaks": lambda: "\n" * 390_000,
    "larger than allowed": lambda: "A" * 5_000_000,
    "encrypted": lambda: response(encrypt_for=OUR_CERTIFICATE, encryption=Encryption(clear=b"<a>" * 60_000)),
}


async def judged(text: str) -> None:
    with contextlib.suppress(saml.SamlRefused):
        verdict(text)


@lru_cache(maxsize=1)
def largest_genuine() -> str:
    """The response about a person in many groups, as large as any that real providers send."""
    text = response(sign="both", attributes={"groups": [f"group-{number}" for number in range(1_800)]})
    assert len(decode(text)) > 200_000
    assert len(verdict(text).attributes["groups"]) == 1_800
    return text


@rule("SAML-PARSER")
@matrix("name", some_of(BOMBS, "entities", "ids", "signatures", "encrypted"))
async def test_no_bomb_costs_more_than_a_large_genuine_response(name: str) -> None:
    text = BOMBS[name]()
    with pytest.raises(saml.SamlRefused):
        verdict(text)
    genuine = largest_genuine()
    assert await times_as_dear(lambda: judged(text), lambda: judged(genuine), under=1) < 1
