"""Hostile SAML responses cost the server little, and valid ones don't wait for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.cost import times_as_dear
from tests.support.matrix import matrix, some_of
from tests.support.saml_encrypting import Encryption
from tests.support.saml_idp import Idp, decode, encode
from tests.support.single_sign_on import Browser, SamlProvider, check_no_one_got_in, saml_provider

pytestmark = pytest.mark.one_store

STATUS = b"<saml2p:Status>"
XSLT = "http://www.w3.org/TR/1999/REC-xslt-19991116"
#: Doubles a text 30 times, in a processor that executes it.
STYLESHEET = (
    '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/">'
    '<xsl:variable name="v0">ha</xsl:variable>'
    + "".join(
        f'<xsl:variable name="v{n}"><xsl:value-of select="concat($v{n - 1},$v{n - 1})"/></xsl:variable>'
        for n in range(1, 30)
    )
    + '<xsl:value-of select="$v29"/></xsl:template></xsl:stylesheet>'
)


@pytest.fixture(scope="module")
async def okta(app: App) -> SamlProvider:
    return await saml_provider(app, await new_client(app))


def laughs(okta: SamlProvider) -> str:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 20))
    doctype = f'<!DOCTYPE a [<!ENTITY e0 "ha">{entities}]>'.encode()
    document = decode(okta.response()).partition(b"?>\n")[2].replace(b"alice@acme.example", b"&e19;")
    return encode(doctype + document)


def before_status(xml: bytes) -> Callable[[SamlProvider], str]:
    def made(okta: SamlProvider) -> str:
        document = decode(okta.response(sign="both"))
        assert STATUS in document
        return encode(document.replace(STATUS, b"<saml2p:Extensions>" + xml + b"</saml2p:Extensions>" + STATUS))

    return made


def in_the_transforms(xml: bytes) -> Callable[[SamlProvider], str]:
    return lambda okta: encode(decode(okta.response()).replace(b"<ds:Transforms>", b"<ds:Transforms>" + xml, 1))


def sealed(okta: SamlProvider) -> str:
    clear = Encryption(clear=b"<a>" * 60_000)
    return okta.response(encrypt_for=okta.certificate, encryption=clear)


BOMBS: dict[str, Callable[[SamlProvider], str]] = {
    "entities in entities": laughs,
    "an entity of a file": lambda okta: encode(b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///dev/zero">]><a>&e;</a>'),
    "elements in elements": before_status(b"<a>" * 2_900 + b"</a>" * 2_900),
    "elements that do not end": before_status(b"<a>" * 60_000),
    "elements beside elements": before_status(b"<a/>" * 40_000),
    "attributes": before_status(b"<a " + b" ".join(b'a%d=""' % n for n in range(20_000)) + b"/>"),
    "namespaces": before_status(b"".join(b'<a xmlns:a%d="u:%d"/>' % (n, n) for n in range(5_000))),
    "ids": before_status(b"".join(b'<a ID="a%d"/>' % n for n in range(5_000))),
    "text": before_status(b"x" * 200_000),
    "a stylesheet": in_the_transforms(f'<ds:Transform Algorithm="{XSLT}">{STYLESHEET}</ds:Transform>'.encode()),
    "transforms": in_the_transforms(b'<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>' * 2_500),
    "what was encrypted": sealed,
}


async def sign_ins(okta: SamlProvider, make: Callable[[SamlProvider], str], *, under: float) -> float:
    """The cost of the whole request, as a multiple of valid sign-ins."""
    return await times_as_dear(lambda: okta.call(make(okta)), lambda: okta.call(okta.response()), under=under)


@matrix("name", some_of(BOMBS, *list(BOMBS)[::4]))
async def test_a_bomb_costs_no_more_than_a_few_honest_sign_ins(okta: SamlProvider, name: str) -> None:
    """A valid sign-in takes about 3 ms on an ordinary machine, so this stays far below 50 ms."""
    make = BOMBS[name]
    check_no_one_got_in(await okta.call(make(okta)))
    check_no_one_got_in(await okta.post(Browser(okta.app), make(okta)))
    assert await sign_ins(okta, make, under=12) < 12


async def test_a_sealed_response_is_tried_by_the_keys_of_one_client(app: App) -> None:
    """The response names its client, so other clients with the same provider don't try their keys."""
    idp = Idp(issuer="https://shared.example/saml")
    sharing = [await saml_provider(app, await new_client(app), idp) for _ in range(6)]
    other_provider = await saml_provider(app, await new_client(app))

    def for_another_browser(okta: SamlProvider) -> str:
        return okta.response(encrypt_for=other_provider.certificate)

    check_no_one_got_in(await sharing[0].call(for_another_browser(sharing[0])))
    assert await sign_ins(sharing[0], for_another_browser, under=3) < 3
