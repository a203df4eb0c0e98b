"""Genuine SAML assertions that aren't for us, aren't valid now, or don't respond to our request."""

from __future__ import annotations

from collections.abc import Callable

from lxml import etree

from tests.protocols.saml.test_wrapping import A, Element, P, part
from tests.protocols.saml.verdicts import ACS, AUDIENCE, IDP, POLICY, refuse, response, verdict
from tests.support.matrix import matrix
from tests.support.rules import rule
from tests.support.saml_idp import NOW_MS, time_text

SIGNED = ("assertion", "response", "both")
FORBIDS = POLICY._replace(allow_idp_initiated=False)


def at(seconds: int) -> str:
    return time_text(NOW_MS + seconds * 1000)


@rule("SAML-CONDITIONS")
@matrix("sign", SIGNED)
@matrix(
    ("members", "reason"),
    [
        ({"issuer": "http://www.okta.com/other"}, "Issuer is .http://www.okta.com/other"),
        ({"issuer": f"{IDP.issuer}/"}, "Issuer is"),
        ({"destination": f"{ACS}/"}, "Destination is"),
        ({"destination": f"{ACS}?x=1"}, "Destination is"),
        ({"destination": "https://other.example/acs"}, "Destination is"),
        ({"destination": " "}, "Destination is"),
        ({"recipient": "https://other.example/acs"}, "Recipient is .https://other.example"),
        ({"recipient": f"{ACS}/more"}, "Recipient is"),
        ({"recipient": None}, "Recipient is none"),
        ({"method": "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"}, "Method is .*holder-of-key"),
        ({"method": "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"}, "Method is .*sender-vouches"),
        ({"version": "1.1"}, "Version is .1.1"),
        ({"version": None}, "Version is none"),
        ({"issued": at(61)}, "issued in the future"),
        ({"issued": None}, "not a time"),
        ({"issued": "yesterday"}, "not a time: .yesterday"),
        ({"not_before": at(61)}, "not valid before"),
        ({"not_before": "2027-02-30T00:00:00Z"}, "not a time"),
        ({"not_on_or_after": at(-60)}, "expired at"),
        ({"not_on_or_after": "٢٠٢٧-01-15T08:00:00Z"}, "not a time"),
        ({"confirmed_until": at(-60)}, "expired at"),
        ({"confirmed_until": None}, "not a time"),
        ({"session_until": at(-60)}, "session at the provider ended"),
        ({"authn_instant": at(61)}, "authenticated in the future"),
        ({"authn_instant": None}, "not a time"),
        ({"name_id": ""}, "NameID is empty"),
        ({"name_id": " \t"}, "NameID is empty"),
        ({"name_id": "a" * 1025}, "NameID is empty or too long"),
    ],
)
def test_members_that_do_not_fit(sign: str, members: dict[str, str | None], reason: str) -> None:
    refuse(response(IDP, sign=sign, **members), reason)


@matrix(
    "members",
    [
        {"issued": at(60)},
        {"not_before": at(60)},
        {"not_before": None},
        {"not_on_or_after": at(-59)},
        {"not_on_or_after": None},
        {"confirmed_until": at(-59)},
        {"session_until": at(-59)},
        {"authn_instant": at(-86_400)},
        {"session_index": None},
        {"name_id_format": None},
    ],
)
def test_a_minute_of_skew_and_members_that_can_be_missing(members: dict[str, str | None]) -> None:
    assert verdict(response(IDP, **members)).name_id == "alice@acme.example"


@rule("SAML-CONDITIONS")
def test_another_audience() -> None:
    several: tuple[list[str], ...] = (["https://other.example"], [f"{AUDIENCE}x"], [AUDIENCE.upper()], [""], [])
    for wrong in several:
        refuse(IDP.response(wrong, ACS), "Audience is")


def test_how_long_an_id_must_be_remembered() -> None:
    """As long as any of its parts would be accepted."""
    text = response(not_on_or_after=at(500), confirmed_until=at(400))
    assert verdict(text).remember_until == NOW_MS + 560_000
    assert verdict(response(not_on_or_after=None, confirmed_until=at(400))).remember_until == NOW_MS + 460_000


def change(path: str, act: Callable[[Element], object]) -> Callable[[Element], None]:
    def edit(tree: Element) -> None:
        act(part(tree, path))

    return edit


def drop(element: Element) -> None:
    parent = element.getparent()
    assert parent is not None
    parent.remove(element)


def double(element: Element) -> None:
    element.addnext(etree.fromstring(etree.tostring(element, with_tail=False)))


@rule("SAML-CONDITIONS")
@matrix(
    ("edit", "reason"),
    [
        (change(f".//{A}AudienceRestriction", drop), "no AudienceRestriction"),
        (change(f".//{A}Conditions", drop), "0 of .Conditions"),
        (change(f".//{A}Conditions", double), "2 of .Conditions"),
        (change(f".//{A}Subject", drop), "0 of .Subject"),
        (change(f".//{A}Subject", double), "2 of .Subject"),
        (change(f".//{A}NameID", double), "2 of .NameID"),
        (change(f".//{A}SubjectConfirmation", drop), "there is none"),
        (change(f".//{A}SubjectConfirmationData", drop), "0 of .SubjectConfirmationData"),
        (change(f".//{A}SubjectConfirmationData", double), "2 of .SubjectConfirmationData"),
        (change(f".//{A}AuthnStatement", drop), "no AuthnStatement"),
        (change(f"{A}Assertion/{A}Issuer", drop), "0 of .Issuer"),
        (change(f"{A}Assertion/{A}Issuer", double), "2 of .Issuer"),
        (change(f"{A}Issuer", double), "several .Issuer"),
        (change(f"{P}Status", drop), "0 of .Status"),
        (change(f"{P}Status", double), "2 of .Status"),
        (change(f"{P}Status/{P}StatusCode", drop), "0 of .StatusCode"),
        (change(f".//{A}Conditions", lambda found: etree.SubElement(found, f"{A}Condition")), "unknown condition"),
        (change(f".//{A}Conditions", lambda found: etree.SubElement(found, "{urn:other}Geo")), "unknown condition"),
        (change(f"{A}Assertion/{A}Issuer", lambda found: found.set("Format", "urn:other")), "Issuer is"),
        (change(f"{A}Assertion", lambda found: found.set("Version", "1.1")), "Version is .1.1"),
        (change(f"{A}Assertion", lambda found: found.set("IssueInstant", at(61))), "issued in the future"),
        (change(f"{A}Issuer", lambda found: setattr(found, "text", "http://other.example")), "Issuer is .http://other"),
        (change(f".//{A}SubjectConfirmationData", lambda found: found.set("NotBefore", at(61))), "not valid before"),
    ],
)
def test_parts_that_are_missing_or_given_twice(edit: Callable[[Element], None], reason: str) -> None:
    refuse(response(before=edit), reason)
    refuse(response(before=edit, sign="response"), reason)


def test_not_before_in_a_confirmation_is_kept_rather_than_rejected() -> None:
    """SAML profiles forbid it, but providers send it."""
    edit = change(f".//{A}SubjectConfirmationData", lambda found: found.set("NotBefore", at(-300)))
    assert verdict(response(before=edit)).name_id == "alice@acme.example"


def test_every_audience_restriction_must_name_us() -> None:
    def other(tree: Element) -> None:
        restriction = etree.SubElement(part(tree, f".//{A}Conditions"), f"{A}AudienceRestriction")
        etree.SubElement(restriction, f"{A}Audience").text = "https://other.example"

    refuse(response(before=other), "Audience is .https://other.example")
    assert verdict(response(before=change(f".//{A}AudienceRestriction", double)))


def test_one_fitting_confirmation_of_several_is_enough() -> None:
    def others(tree: Element) -> None:
        found = part(tree, f".//{A}SubjectConfirmation")
        for name, value in (("Recipient", "https://other.example"), ("NotOnOrAfter", at(-600))):
            double(found)
            twin = found.getnext()
            assert twin is not None
            twin[0].set(name, value)

    assert verdict(response(before=others)).name_id == "alice@acme.example"


@rule("SAML-CONDITIONS")
@matrix("sign", SIGNED)
def test_an_answer_to_another_question(sign: str) -> None:
    refuse(response(sign=sign, in_response_to="_r2"), "InResponseTo is ._r2", request_id="_r1")
    refuse(response(sign=sign), "InResponseTo is none", request_id="_r1")
    refuse(response(sign=sign, in_response_to=""), 'InResponseTo is ""', request_id="_r1")


@rule("DEVIATION-SAML-UNSOLICITED", "SAML-CONDITIONS")
@matrix("sign", SIGNED)
def test_an_answer_is_no_unsolicited_response(sign: str) -> None:
    """Even if only the signed part names a request, a captured response to it isn't unsolicited."""
    refuse(response(sign=sign, in_response_to="_r1"), "InResponseTo is ._r1., not none")

    def hide(tree: Element) -> None:
        del tree.attrib["InResponseTo"]

    refuse(response(sign=sign, in_response_to="_r1", before=hide), "InResponseTo is ._r1., not none")


def test_a_second_confirmation_that_answers_something() -> None:
    def second(tree: Element) -> None:
        found = part(tree, f".//{A}SubjectConfirmation")
        double(found)
        twin = found.getnext()
        assert twin is not None
        twin[0].set("InResponseTo", "_r1")

    refuse(response(before=second), "InResponseTo is ._r1., not none")


def test_the_envelope_and_the_confirmation_answer_the_same_question() -> None:
    edit = change(f".//{A}SubjectConfirmationData", lambda found: found.set("InResponseTo", "_r2"))
    refuse(response(in_response_to="_r1", before=edit), "InResponseTo is ._r2", request_id="_r1")
    refuse(response(in_response_to="_r1", before=edit), "InResponseTo is ._r1", request_id="_r2")


def test_an_unsolicited_response_where_that_is_not_allowed() -> None:
    refuse(response(), "^unsolicited", FORBIDS)


def test_a_refusal_of_the_provider_says_what_it_said() -> None:
    def refusal(tree: Element) -> None:
        status = part(tree, f"{P}Status")
        etree.SubElement(status[0], f"{P}StatusCode", Value="urn:oasis:names:tc:SAML:2.0:status:AuthnFailed")
        etree.SubElement(status, f"{P}StatusMessage").text = "Not\nassigned " + "x" * 500
        tree.remove(part(tree, f"{A}Assertion"))

    responder = "urn:oasis:names:tc:SAML:2.0:status:Responder"
    for policy in (POLICY, FORBIDS):
        text = response(status=responder, before=refusal, sign="none")
        refuse(text, "^the provider returned .Responder / AuthnFailed., .Not·assigned x{187}…", policy)
    refuse(response(status=responder), "Responder")
    refuse(response(status=None), "the provider returned")


def _statements(*changes: tuple[str, str] | None) -> Callable[[Element], None]:
    """One AuthnStatement for each change; None keeps it unchanged, otherwise one of its attributes is changed."""

    def edit(tree: Element) -> None:
        first = part(tree, f".//{A}AuthnStatement")
        for _ in changes[1:]:
            double(first)
        found = first.getparent()
        assert found is not None
        for statement, change_of in zip(found.findall(f"{A}AuthnStatement"), changes, strict=True):
            if change_of:
                statement.set(*change_of)

    return edit


OVER, OPEN = ("SessionNotOnOrAfter", at(-60)), ("SessionNotOnOrAfter", at(600))


@rule("SAML-CONDITIONS")
@matrix("sign", SIGNED)
@matrix(
    ("statements", "reason"),
    [
        ((None, OVER), "session at the provider ended"),
        ((OVER, None), "session at the provider ended"),
        ((OPEN, OVER), "session at the provider ended"),
        ((OVER, OPEN), "session at the provider ended"),
        ((None, None, OVER), "session at the provider ended"),
        ((None, ("AuthnInstant", at(61))), "authenticated in the future"),
        ((None, ("AuthnInstant", "soon")), "not a time"),
        ((None, ("SessionNotOnOrAfter", "soon")), "not a time"),
    ],
)
def test_every_authn_statement_is_judged(
    sign: str, statements: tuple[tuple[str, str] | None, ...], reason: str
) -> None:
    refuse(response(before=_statements(*statements), sign=sign), reason)


def test_the_first_of_several_authn_statements_names_the_session() -> None:
    edit = _statements(("SessionIndex", "first"), ("SessionIndex", "second"))
    assert verdict(response(before=edit)).session_index == "first"
    assert verdict(response(before=_statements(OPEN, OPEN, None))).name_id == "alice@acme.example"
