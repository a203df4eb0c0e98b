"""SAML responses exactly as Okta writes them, verified at the time when they were sent.

The details come from responses that Okta sent: prefixes, order of attributes, ``id`` and digits, both signatures with
``xs`` preserved, KeyInfo in lines of 76, NameFormat and ``xsi:type`` of attributes, empty values, SessionIndex, and the
encrypted key next to the data.
"""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree

from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.people import roles_line
from tests.support.saml_encrypting import Encryption
from tests.support.saml_idp import ASSERTION, Idp, Signing
from tests.support.single_sign_on import Browser, SamlProvider, check_no_one_got_in, saml_provider

pytestmark = pytest.mark.one_store

CAPTURED_MS = 1_459_183_098_565  # 28 March 2016
YEAR_MS = 365 * 86_400_000
UNSPECIFIED = "urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified"
ENTITY = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
PHOEBE = {
    "FirstName": "Phoebe",
    "LastName": "Simon",
    "Email": "phoebe.simon@acme.example",
    "Login": "phoebesimon",
    "SSHUserName": "",
    "groups": ["Everyone", "Authors", "Ops & Co"],
}


def okta_idp(number: int = 0) -> Idp:
    """A provider with a ten-year certificate like Okta's, which has expired by now."""
    return Idp(
        issuer="http://www.okta.com/exk5zt0r12Edi4rD20h7",
        number=number,
        not_before_ms=CAPTURED_MS - YEAR_MS,
        not_after_ms=CAPTURED_MS + 9 * YEAR_MS,
    )


def as_okta(tree: etree._Element) -> None:
    """Add the members that the stand-in omits."""
    for issuer in tree.iter(f"{{{ASSERTION}}}Issuer"):
        issuer.set("Format", ENTITY)
    for attribute in tree.iter(f"{{{ASSERTION}}}Attribute"):
        attribute.set("NameFormat", UNSPECIFIED)


def signing(idp: Idp) -> Signing:
    lines = "\n".join(textwrap.wrap(base64.b64encode(idp.certificate_der).decode(), 76))
    key_info = f"<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{lines}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    return Signing(prefixes="xs", key_info=key_info)


def captured(okta: SamlProvider, **members: Any) -> str:
    """A response from that day in the default form: both signed, with an address as unspecified NameID."""
    usual = {
        "now_ms": CAPTURED_MS,
        "sign": "both",
        "attributes": PHOEBE,
        "signing": signing(okta.idp),
        "before": as_okta,
        "response_id": "id2128248929510670834559185",
        "assertion_id": "id21282489295776782126468319",
        "session_index": "id1459183098565.1240384223",
    }
    return okta.response("phoebe.simon@acme.example", **(usual | members))


@pytest.fixture
async def okta(app: App) -> SamlProvider:
    lines = [roles_line("Authors", "Author"), roles_line("Ops & Co", "Operator"), roles_line("Bosses", "Admin")]
    return await saml_provider(app, await new_client(app), okta_idp(), defaultRoles=[], groupRoles=lines)


@pytest.fixture(autouse=True)
def set_back(app: App) -> Iterator[None]:
    now = app.clock.ms
    app.clock.ms = CAPTURED_MS + 2_000
    yield
    app.clock.ms = now


SEALED = Encryption(cipher="aes256-cbc", transport="rsa-oaep-mgf1p", digest="sha1", place="retrieval")


@matrix("sealed", [False, True], ids=["plain", "encrypted"])
@matrix("sign", ["both", "response", "assertion"])
async def test_it_is_read_at_its_time_and_at_no_other(app: App, okta: SamlProvider, sign: str, sealed: bool) -> None:
    encrypted = {"encrypt_for": okta.certificate, "encryption": SEALED} if sealed else {}
    response = captured(okta, sign=sign, **encrypted)
    if not sealed:
        assert b'PrefixList="xs"' in base64.b64decode(response)
    for moved in (-400_000, 400_000):  # the window is five minutes on each side, plus a minute for clock skew
        app.clock.ms += moved
        check_no_one_got_in(await okta.call(response))
        app.clock.ms -= moved
    data = (await okta.call(response)).data
    assert (data["user"]["email"], data["user"]["firstName"], data["user"]["lastName"]) == (
        "phoebe.simon@acme.example", "Phoebe", "Simon",
    )  # fmt: skip
    assert data["user"]["roles"] == ["Author", "Operator"]
    check_no_one_got_in(await okta.call(response))


async def test_an_answer_to_our_request_names_it_three_times(okta: SamlProvider) -> None:
    """In the response, in the confirmation, and as SessionIndex."""
    browser = Browser(okta.app)
    request_id, state = await okta.start(browser)
    response = captured(okta, in_response_to=request_id, session_index=request_id)
    assert base64.b64decode(response).count(request_id.encode()) == 3
    assert (await okta.post(browser, response, state)).status == 303
    assert (await browser.me()).data["roles"] == ["Author", "Operator"]


async def test_today_its_certificate_is_over(app: App, okta: SamlProvider) -> None:
    app.clock.ms = CAPTURED_MS + 10 * YEAR_MS
    fresh = captured(okta, now_ms=app.clock.ms)
    check_no_one_got_in(await okta.call(fresh))
    assert (await okta.admin("PATCH", body={"saml": {"expiredCertificates": "accept"}})).status == 200
    assert (await okta.call(fresh)).status == 200


async def test_another_keys_signature_beside_oktas_certificate_opens_nothing(okta: SamlProvider) -> None:
    okta.idp, genuine = okta_idp(number=1), okta.idp
    check_no_one_got_in(await okta.call(captured(okta, signing=signing(genuine))))
