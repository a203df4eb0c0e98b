"""SAML responses that must be accepted, as real providers send them."""

from __future__ import annotations

import re

from lxml import etree

from manifest_auth.protocols import saml
from tests.protocols.saml.verdicts import ACS, AUDIENCE, IDP, POLICY, pinned, refuse, replaced, response, verdict
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.saml_idp import ASSERTION, NOW_MS, STYLES, Idp, Signing, decode, encode

SIGNED = ("assertion", "response", "both")
CLAIM = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"


@matrix("style", STYLES)
@matrix("sign", SIGNED)
def test_every_way_to_write_prefixes_and_to_sign(style: str, sign: str) -> None:
    attributes = {CLAIM: "alice@acme.example", "groups": ["Authors", "", "All of acme"]}
    shown = verdict(response(style=style, sign=sign, attributes=attributes, assertion_id="_a1"))
    assert shown == saml.Assertion(
        id="_a1",
        name_id="alice@acme.example",
        name_id_format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
        attributes={CLAIM: ("alice@acme.example",), "groups": ("Authors", "", "All of acme")},
        session_index="id1800000000000.1",
        authn_instant="2027-01-15T08:00:00.000Z",
        authn_context="urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
        remember_until=NOW_MS + 300_000 + 60_000,
    )


@matrix(
    ("kind", "method"),
    [
        ("rsa", "rsa-sha256"),
        ("rsa", "rsa-sha384"),
        ("rsa", "rsa-sha512"),
        ("rsa", "sha256-rsa-MGF1"),
        ("rsa", "sha384-rsa-MGF1"),
        ("rsa", "sha512-rsa-MGF1"),
        ("ec", "ecdsa-sha256"),
        ("ec", "ecdsa-sha512"),
        ("ec384", "ecdsa-sha384"),
    ],
)
@matrix("digest", ["sha256", "sha384", "sha512"])
def test_every_allowed_signature_method_and_digest(kind: str, method: str, digest: str) -> None:
    idp = Idp(key_kind=kind)
    text = response(idp, sign="both", signing=Signing(method=method, digest=digest))
    assert verdict(text, pinned(idp)).name_id == "alice@acme.example"


@matrix("sign", SIGNED)
def test_prefixes_that_canonicalisation_shall_keep(sign: str) -> None:
    text = response(sign=sign, attributes={"a": "x"}, signing=Signing(prefixes="xs #default unknown"))
    assert verdict(text).attributes == {"a": ("x",)}


KEY_INFOS = {
    "none": "none",
    "name": "<ds:KeyInfo><ds:KeyName>idp</ds:KeyName></ds:KeyInfo>",
    "value": "<ds:KeyInfo><ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AQAB</ds:Modulus><ds:Exponent>AQAB</ds:Exponent>"
    "</ds:RSAKeyValue></ds:KeyValue></ds:KeyInfo>",
    "garbage": "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>no certificate</ds:X509Certificate></ds:X509Data>"
    "</ds:KeyInfo>",
}


@rule("SAML-REFERENCE")
@matrix("key_info", KEY_INFOS.values(), ids=KEY_INFOS)
def test_key_info_is_never_read(key_info: str) -> None:
    assert verdict(response(sign="both", signing=Signing(key_info=key_info))).name_id == "alice@acme.example"


@matrix(
    "instant",
    [
        "2027-01-15T08:00:00Z",
        "2027-01-15T08:00:00.123456789Z",
        "2027-01-15T08:00:00",
        "2027-01-15T09:30:00+01:30",
        "2027-01-14T22:00:00.5-10:00",
        " 2027-01-15T08:00:00Z ",
    ],
)
def test_times_with_and_without_fraction_and_offset(instant: str) -> None:
    assert verdict(response(issued=instant, authn_instant=instant, not_before=instant)).authn_instant == instant


def test_an_offset_counts() -> None:
    refuse(response(not_before="2027-01-15T08:30:00-01:00"), "not valid before")
    verdict(response(not_before="2027-01-15T08:30:00+01:00"))


def test_a_rolled_over_certificate() -> None:
    new = Idp(number=1)
    policy = POLICY._replace(certificates=(IDP.certificate_der, new.certificate_der))
    assert verdict(response(), policy)
    assert verdict(response(new), policy)
    refuse(response(new), "no pinned certificate", POLICY)


def test_a_new_key_of_another_kind() -> None:
    new = Idp(key_kind="ec")
    policy = POLICY._replace(certificates=(IDP.certificate_der, new.certificate_der))
    assert verdict(response(), policy)
    assert verdict(response(new), policy)
    refuse(response(new), "none has a key of kind ec", POLICY)


def test_an_expired_pinned_certificate_counts_by_policy_only() -> None:
    idp = Idp(not_before_ms=NOW_MS - 2 * 10**9, not_after_ms=NOW_MS - 10**9)
    refuse(response(idp), "has expired", pinned(idp))
    assert verdict(response(idp), pinned(idp, accept_expired_certificates=True)).name_id == "alice@acme.example"


def test_an_answer_to_our_request() -> None:
    assert verdict(response(in_response_to="_r1"), request_id="_r1").name_id == "alice@acme.example"
    no_unsolicited = POLICY._replace(allow_idp_initiated=False)
    assert verdict(response(in_response_to="_r1"), no_unsolicited, "_r1").name_id == "alice@acme.example"


def test_an_unsigned_envelope_can_leave_out_destination_and_issuer() -> None:
    text = response(destination=None, after=lambda tree: tree.remove(tree[0]))
    assert verdict(text).name_id == "alice@acme.example"
    refuse(response(destination=None, sign="response"), "Destination is none")


def test_several_audiences_and_restrictions() -> None:
    text = IDP.response(["https://other.example", AUDIENCE], ACS)
    assert verdict(text).name_id == "alice@acme.example"


def test_one_time_use_and_proxy_restriction_forbid_nothing_to_us() -> None:
    def add(tree: etree._Element) -> None:
        conditions = tree.find(".//{*}Conditions")
        assert conditions is not None
        for name in ("OneTimeUse", "ProxyRestriction"):
            etree.SubElement(conditions, f"{{{ASSERTION}}}{name}")

    assert verdict(response(before=add)).name_id == "alice@acme.example"


def test_base64_in_lines_and_a_byte_order_mark() -> None:
    text = response()
    for end in ("\n", "\r\n"):
        assert verdict(end.join(re.findall(".{1,76}", text)) + end).name_id == "alice@acme.example"
    assert verdict(encode(b"\xef\xbb\xbf" + decode(text))).name_id == "alice@acme.example"


def test_white_space_that_people_put_between_elements() -> None:
    def indent(tree: etree._Element) -> None:
        for element in tree.iter():
            element.tail = "\n  "
            if len(element):
                element.text = "\n    "

    for sign in SIGNED:
        assert verdict(response(before=indent, sign=sign)).name_id == "alice@acme.example"


def test_white_space_in_signature_values() -> None:
    text = decode(response()).decode()
    value = re.findall("<ds:SignatureValue>(.*?)<", text)[0]
    digest = re.findall("<ds:DigestValue>(.*?)<", text)[0]
    lines = "\n" + "\r\n".join(re.findall(".{1,60}", value)) + "\n"
    assert verdict(replaced(encode(text.encode()), value, lines)).name_id == "alice@acme.example"
    # inside SignedInfo, the same change affects signed data
    refuse(replaced(encode(text.encode()), digest, f" {digest} "), "no pinned certificate")


def test_hints_of_an_unverified_response() -> None:
    shown = saml.read_response(response(in_response_to="_r1"))
    assert (shown.issuer, shown.in_response_to, shown.audiences) == (IDP.issuer, "_r1", (AUDIENCE,))
    assert not shown.is_encrypted
    without = saml.read_response(response(after=lambda tree: tree.remove(tree[0])))
    assert without.issuer == IDP.issuer
