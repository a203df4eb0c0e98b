"""Responses of real SAML providers that must be rejected, and sign-ins that only SAML has."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import Any

import pytest

from tests.interop.browser import Browser, Step
from tests.interop.failures import failure, refused
from tests.interop.providers.djangosaml2idp import DjangoSaml2Idp
from tests.interop.providers.lemonldap import LemonLdap
from tests.interop.providers.people import ALICE, BOB
from tests.interop.providers.saml_idp import SamlIdp
from tests.interop.service import AUTH, RETURN_TO, SAML, Client, Service, arrived, me
from tests.interop.sign_in_methods import SamlMethod, on_every_saml_provider

OTHER_ADDRESS = "https://app.customer.example/elsewhere"


def unasked(provider: SamlIdp, browser: Browser, client: Client) -> Step:
    """The step that sends us a response to a click at the provider. It isn't taken."""
    step = provider.visit(browser, provider.idp_initiated(), ALICE, client.service.acs)
    assert isinstance(step, Step)
    return step


def posted(service: Service, response: str, client: str = "") -> Any:
    """Send an app's JSON call, with or without a client name."""
    path = f"{SAML}?client={client}" if client else SAML
    return service.send("POST", path, {"samlResponse": response})


def test_a_click_at_the_provider_signs_in(
    node_idp: SamlIdp, client: Client, service: Service, browser: Browser
) -> None:
    SamlMethod(node_idp).join(client)
    end = f"{service.public}/account"
    assert arrived(browser.walk(unasked(node_idp, browser, client), end)).url == end
    assert me(service, browser)["user"]["email"] == ALICE.email


def test_a_click_at_another_provider_signs_in(
    lemonldap_server: LemonLdap, client: Client, service: Service, browser: Browser
) -> None:
    SamlMethod(lemonldap_server).join(client)
    arrived(lemonldap_server.visit(browser, lemonldap_server.idp_initiated(), ALICE, f"{service.public}/account"))
    assert me(service, browser)["user"]["email"] == ALICE.email


def test_a_click_at_the_provider_can_lead_to_any_listed_address(
    node_idp: SamlIdp, client: Client, browser: Browser
) -> None:
    SamlMethod(node_idp).join(client, returnAddresses=[RETURN_TO, OTHER_ADDRESS])
    step = unasked(node_idp, browser, client).with_fields(RelayState=OTHER_ADDRESS)
    assert arrived(browser.walk(step, RETURN_TO, OTHER_ADDRESS)).url == OTHER_ADDRESS


def test_a_click_at_the_provider_leads_to_no_other_address(
    node_idp: SamlIdp, client: Client, service: Service, browser: Browser
) -> None:
    SamlMethod(node_idp).join(client)
    step = unasked(node_idp, browser, client).with_fields(RelayState="https://evil.example/")
    assert "RelayState" in service.reason(refused(browser.walk(step, RETURN_TO)))
    assert "session" not in browser.jar.of(service.public)


def test_where_the_client_does_not_allow_it_no_one_comes_unasked(
    node_idp: SamlIdp, client: Client, service: Service, browser: Browser
) -> None:
    SamlMethod(node_idp, {"allowIdpInitiated": False}).join(client)
    step = unasked(node_idp, browser, client)
    assert "unsolicited" in service.reason(refused(browser.walk(step, RETURN_TO)))
    arrived(SamlMethod(node_idp).sign_in(client, browser, ALICE))


def test_an_unasked_response_that_claims_to_answer_is_rejected(
    django_idp: DjangoSaml2Idp, client: Client, service: Service, browser: Browser
) -> None:
    """``djangosaml2idp`` writes InResponseTo="IdP_Initiated_Login" there, which SAML profiles, section 4.1.5,
    forbid."""
    SamlMethod(django_idp).join(client)
    came_to = django_idp.visit(browser, django_idp.idp_initiated(client.entity), ALICE, RETURN_TO)
    assert service.reason(refused(came_to)) == "InResponseTo: no open request of this server"


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_the_json_call_answers_like_a_sign_in(
    encrypted: bool, named: bool, node_idp: SamlIdp, client: Client, browser: Browser
) -> None:
    """If no client is named, the audience identifies it, unless the assertion is encrypted."""
    SamlMethod(node_idp, options={"encrypt": encrypted}).join(client)
    response = unasked(node_idp, browser, client).fields["SAMLResponse"]
    if encrypted and not named:
        refusal = posted(client.service, response)
        assert (refusal.status_code, refusal.json()["error"]["details"][0]["field"]) == (400, "client")
        named = True
    answer = posted(client.service, response, client.identifier if named else "")
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert (data["user"]["email"], data["user"]["roles"]) == (ALICE.email, ["Operator"])
    assert client.service.send("GET", f"{AUTH}/me", token=data["token"]).status_code == 200
    again = posted(client.service, response, client.identifier if named else "")
    assert again.status_code == 401, "a response counts once, whichever way it comes"


def test_the_json_call_takes_no_response_that_a_browser_asked_for(
    node_idp: SamlIdp, client: Client, service: Service, browser: Browser
) -> None:
    """The requesting browser is identified by its cookie, which the call doesn't have."""
    method = SamlMethod(node_idp)
    method.join(client)
    answer = method.answer(client, browser, ALICE)
    refusal = posted(service, answer.fields["SAMLResponse"])
    assert refusal.status_code == 401
    assert "different browser" in service.reason(failure(refusal.headers, refusal.text))
    arrived(browser.walk(answer, RETURN_TO))


#: The defect, the provider settings that cause it, and part of the log message.
SPOILED = {
    "for another service": ({"audience": "https://another.example/metadata"}, "Audience"),
    "expired": ({"lifetimeInSeconds": "-120"}, "expired at"),
    "signed with SHA-1": ({"signatureAlgorithm": "rsa-sha1"}, "rsa-sha1"),
    "digested with SHA-1": ({"digestAlgorithm": "sha1"}, "sha1"),
    "of another issuer": ({"issuer": "https://another.example/"}, "Issuer"),
}
#: The same for values in our request, which the provider would follow.
SPOILED_UNASKED = {
    "for another service": (SPOILED["for another service"][0], "no provider with this issuer and audience"),
    "of another issuer": (SPOILED["of another issuer"][0], "no provider with this issuer and audience"),
    "for another address": ({"recipient": "https://another.example/acs"}, "Recipient"),
    "to another address": ({"destination": "https://another.example/acs"}, "Destination"),
}


def check_refusal(service: Service, browser: Browser, answer: Step, reason: str) -> None:
    """The page always shows the same message, and the log has the reason."""
    shown = refused(browser.walk(answer, RETURN_TO))
    assert reason in service.reason(shown)
    advice = "Start again. If it keeps happening, contact your administrator."
    way = r"(Try again( Continue with \w+)?|Go to sign-in)"
    number = re.escape(shown.request_id)
    assert re.fullmatch(rf"{shown.said} {re.escape(advice)} {way} Request ID: {number}", shown.text)
    assert "session" not in browser.jar.of(service.public)


@pytest.mark.parametrize("what", SPOILED)
def test_a_genuinely_signed_response_that_must_not_count(
    what: str, node_idp: SamlIdp, client: Client, service: Service, browser: Browser
) -> None:
    settings, reason = SPOILED[what]
    method = SamlMethod(node_idp)
    method.join(client)
    node_idp.set(**settings)
    check_refusal(service, browser, method.answer(client, browser, ALICE), reason)


@pytest.mark.parametrize("what", SPOILED_UNASKED)
def test_a_genuinely_signed_response_that_no_one_asked_for_and_that_must_not_count(
    what: str, node_idp: SamlIdp, client: Client, service: Service, browser: Browser
) -> None:
    settings, reason = SPOILED_UNASKED[what]
    SamlMethod(node_idp).join(client)
    node_idp.set(**settings)
    check_refusal(service, browser, unasked(node_idp, browser, client), reason)


def test_one_character_of_a_response_that_was_changed(
    node_idp: SamlIdp, client: Client, service: Service, browser: Browser
) -> None:
    SamlMethod(node_idp).join(client)
    step = unasked(node_idp, browser, client)
    document = base64.b64decode(step.fields["SAMLResponse"])
    forged = document.replace(b">alice@", b">admin@")
    assert forged != document
    end = f"{service.public}/account"
    refused(browser.walk(step.with_fields(SAMLResponse=base64.b64encode(forged).decode()), end))
    arrived(browser.walk(step, end))


def test_a_response_cannot_be_moved_to_another_client_of_the_same_provider(
    node_idp: SamlIdp, service: Service, browser: Browser, another_browser: Browser
) -> None:
    one, other = service.client(), service.client()
    method = SamlMethod(node_idp)
    method.join(other)
    method.join(one)
    response = unasked(node_idp, browser, one).fields["SAMLResponse"]
    assert posted(service, response, other.identifier).status_code == 401
    assert posted(service, response, one.identifier).json()["data"]["user"]["clientId"] == one.identifier


@on_every_saml_provider
def test_the_answer_to_one_client_cannot_be_moved_to_another(
    method: SamlMethod, service: Service, browser: Browser
) -> None:
    """Posted with the other client's name, and with the other client's open request."""
    one, other = service.client(), service.client()
    method.join(other)
    method.join(one)
    answer = method.answer(one, browser, ALICE)
    named = replace(answer, url=f"{answer.url}?client={other.identifier}")
    assert "different client" in service.reason(refused(browser.walk(named, RETURN_TO)))
    state = browser.onward_from(other.start(SAML)).query["RelayState"]
    assert "RelayState" in service.reason(refused(browser.walk(answer.with_fields(RelayState=state), RETURN_TO)))
    assert "session" not in browser.jar.of(service.public)
    arrived(browser.walk(answer, RETURN_TO))
    assert me(service, browser)["user"]["clientId"] == one.identifier


def test_one_person_of_one_provider_in_two_clients(
    django_idp: DjangoSaml2Idp, service: Service, browser: Browser, another_browser: Browser
) -> None:
    one, other = service.client(), service.client()
    method = SamlMethod(django_idp)
    method.join(one)
    method.join(other)
    arrived(method.sign_in(one, browser, ALICE))
    arrived(method.sign_in(other, another_browser, ALICE))
    first, second = me(service, browser)["user"], me(service, another_browser)["user"]
    assert (first["clientId"], second["clientId"]) == (one.identifier, other.identifier)
    assert first["id"] != second["id"]


def test_two_providers_of_one_client(
    node_idp: SamlIdp, django_idp: DjangoSaml2Idp, client: Client, service: Service, browser: Browser,
    another_browser: Browser,
) -> None:  # fmt: skip
    SamlMethod(node_idp).join(client, name="one")
    SamlMethod(django_idp).join(client, name="other")
    arrived(SamlMethod(node_idp).sign_in(client, browser, ALICE, provider="one"))
    moved = BOB.moved_to("Writers")
    django_idp.put(moved)
    arrived(SamlMethod(django_idp).sign_in(client, another_browser, moved, provider="other"))
    django_idp.put(BOB)
    assert me(service, browser)["user"]["email"] == ALICE.email
    assert me(service, another_browser)["user"]["email"] == BOB.email


def test_an_answer_of_one_provider_to_what_another_was_asked(
    node_idp: SamlIdp, django_idp: DjangoSaml2Idp, client: Client, service: Service, browser: Browser
) -> None:
    """The request's ID, validly signed by another provider of the same client."""
    SamlMethod(django_idp).join(client, name="one")
    SamlMethod(node_idp).join(client, name="other")
    asked = query_of(browser.onward_from(client.start(SAML, "one")))
    there = node_idp.visit(browser, Step("GET", f"{node_idp.base}/saml/sso?{asked}"), ALICE, service.acs)
    assert isinstance(there, Step)
    check_refusal(service, browser, there, "no pinned certificate signed it")


def query_of(step: Step) -> str:
    return step.url.partition("?")[2]
