"""Real OpenID providers that fail, are impersonated, or share people, and the sign-ins that are accepted."""

from __future__ import annotations

import pytest

from tests.interop.browser import JSON, Browser
from tests.interop.failures import failure, refused
from tests.interop.providers.glewlwyd import Glewlwyd
from tests.interop.providers.oidc_provider import OidcProvider
from tests.interop.providers.people import ALICE, BOB, ZOE
from tests.interop.service import OIDC, RETURN_TO, Client, Service, arrived, me
from tests.interop.sign_in_methods import OidcMethod, SignInMethod, node, of_glewlwyd, on
from tests.support.rules import rule

pytestmark = pytest.mark.endurance

on_both_openid_providers = on("oidc-provider ES256", "glewlwyd")


@on_both_openid_providers
def test_a_wrong_client_secret_signs_no_one_in(
    method: OidcMethod, client: Client, service: Service, browser: Browser, another_browser: Browser
) -> None:
    """The page says that the sign-in failed, and the JSON for programs gives the reason."""
    method.join(client)
    client.change(oidc={"clientSecret": "not the one that the provider knows"})
    shown = refused(method.sign_in(client, browser, ALICE))
    assert service.reason(shown).startswith("token endpoint returned 40")
    called = another_browser.take(method.answer(client, another_browser, ALICE), accept=JSON)
    error = failure(called.headers, called.text)
    assert (called.status, error.code) == (401, "SSO_FAILED")
    assert "isn't set up correctly" in error.said
    assert service.reason(error).startswith("token endpoint returned 40")


def test_a_provider_that_is_down_is_told_from_one_that_rejects(
    own_provider: OidcProvider, client: Client, browser: Browser
) -> None:
    node("RS256")(own_provider).join(client)
    own_provider.stop()
    refused(browser.take(client.start(OIDC)), "PROVIDER_UNAVAILABLE", 502)


def test_a_provider_that_hangs_is_not_waited_for(own_provider: OidcProvider, client: Client, browser: Browser) -> None:
    """It hangs before and during the sign-in, and people are notified while it still hangs."""
    method = node("RS256")(own_provider)
    method.join(client)
    with own_provider.frozen():
        refused(browser.take(client.start(OIDC)), "PROVIDER_UNAVAILABLE", 502)
    answer = method.answer(client, browser, ALICE)
    with own_provider.frozen():
        refused(browser.walk(answer, RETURN_TO), "PROVIDER_UNAVAILABLE", 502)


@on("oidc-provider by itself", "glewlwyd", "lemonldap by itself")
def test_keys_that_the_provider_changed_are_fetched(
    method: OidcMethod, client: Client, service: Service, browser: Browser, another_browser: Browser
) -> None:
    """``lemonldap`` gives the new key the old one's name."""
    method.join(client)
    arrived(method.sign_in(client, browser, ALICE))
    method.provider.rotate()
    arrived(method.sign_in(client, another_browser, ALICE))
    assert me(service, another_browser)["user"]["id"] == me(service, browser)["user"]["id"]


@on_both_openid_providers
@pytest.mark.parametrize("state", ["", "a-state-that-was-never-given", "another's"])
def test_a_state_that_is_not_this_browsers_own(
    method: SignInMethod, state: str, client: Client, service: Service, browser: Browser, another_browser: Browser
) -> None:
    method.join(client)
    if state == "another's":
        state = method.answer(client, another_browser, BOB).query["state"]
    answer = method.answer(client, browser, ALICE)
    refused(browser.walk(answer.with_query(state=state), RETURN_TO))
    assert "session" not in browser.jar.of(service.public)
    arrived(browser.walk(answer, RETURN_TO))  # this doesn't affect the sign-in in progress


@on_both_openid_providers
def test_a_code_from_another_sign_in(
    method: SignInMethod, client: Client, service: Service, browser: Browser, another_browser: Browser
) -> None:
    """A stolen code is put into the thief's sign-in, but PKCE shows the provider that it belongs to another one."""
    method.join(client)
    stolen = method.answer(client, another_browser, ALICE).query["code"]
    answer = method.answer(client, browser, BOB)
    error = refused(browser.walk(answer.with_query(code=stolen), RETURN_TO))
    assert service.reason(error).startswith("token endpoint returned 40")
    assert "session" not in browser.jar.of(service.public)


def test_a_code_that_was_given_to_another_client_of_the_provider(
    node_provider: OidcProvider, service: Service, browser: Browser, another_browser: Browser
) -> None:
    one, other = service.client(), service.client()
    node("RS256")(node_provider).join(one)
    node("ES256")(node_provider).join(other)
    code = node("RS256")(node_provider).answer(one, another_browser, ALICE).query["code"]
    answer = node("ES256")(node_provider).answer(other, browser, BOB)
    error = refused(browser.walk(answer.with_query(code=code), RETURN_TO))
    assert service.reason(error) == "token endpoint returned 400: invalid_grant"
    assert "session" not in browser.jar.of(service.public)


@on_both_openid_providers
@pytest.mark.parametrize("iss", ["", "https://another.example"])
def test_an_answer_that_names_another_issuer_or_none(
    method: SignInMethod, iss: str, client: Client, service: Service, browser: Browser
) -> None:
    """Both providers name themselves in the redirect, ``glewlwyd`` without announcing it (RFC 9207)."""
    method.join(client)
    answer = method.answer(client, browser, ALICE)
    assert answer.query["iss"] == method.provider.issuer  # type: ignore[attr-defined]
    changed = browser.walk(answer.with_query(iss=iss), RETURN_TO)
    if iss or method.provider.name == "oidc-provider":
        assert service.reason(refused(changed)) == "the response arrived at a different redirect URI"
    else:
        arrived(changed)


def test_an_answer_of_one_provider_in_a_sign_in_at_another(
    node_provider: OidcProvider, glewlwyd_server: Glewlwyd, client: Client, service: Service, browser: Browser
) -> None:
    """Mix-up (RFC 9700, section 4.4): an honest provider's code must not be sent to another provider."""
    one, other = node("RS256")(node_provider), of_glewlwyd(glewlwyd_server)
    one.join(client, name="one")
    other.join(client, name="other")
    state = one.answer(client, browser, ALICE, provider="one").query["state"]
    answer = other.answer(client, browser, ALICE, provider="other")
    refused(browser.walk(answer.with_query(state=state), RETURN_TO))
    arrived(browser.walk(answer, RETURN_TO))
    assert me(service, browser)["user"]["email"] == ALICE.email


@rule("IDENTITY-KEY")
def test_the_same_address_at_two_providers_of_a_client_is_not_one_person(
    node_provider: OidcProvider, glewlwyd_server: Glewlwyd, client: Client, service: Service, browser: Browser,
    another_browser: Browser,
) -> None:  # fmt: skip
    """Provider and subject identify a person, because the owner of a second provider could claim any address."""
    node("RS256")(node_provider).join(client, name="one")
    other = of_glewlwyd(glewlwyd_server)
    other.join(client, name="other")
    arrived(node("RS256")(node_provider).sign_in(client, browser, ALICE, provider="one"))
    error = refused(other.sign_in(client, another_browser, ALICE, provider="other"))
    assert "does not confirm it" in service.reason(error)


@on_both_openid_providers
def test_one_person_of_one_provider_in_two_clients(
    method: SignInMethod, service: Service, browser: Browser, another_browser: Browser
) -> None:
    """Two unrelated accounts."""
    one, other = service.client(), service.client()
    method.join(one)
    method.join(other)
    arrived(method.sign_in(one, browser, ALICE))
    arrived(method.sign_in(other, another_browser, ALICE))
    first, second = me(service, browser), me(service, another_browser)
    assert (first["user"]["clientId"], second["user"]["clientId"]) == (one.identifier, other.identifier)
    assert first["user"]["id"] != second["user"]["id"]


def test_an_answer_cannot_be_moved_to_another_client(
    node_provider: OidcProvider, service: Service, browser: Browser
) -> None:
    method = node("RS256")(node_provider)
    one, other = service.client(), service.client()
    method.join(one)
    method.join(other)
    answer = method.answer(one, browser, ALICE)
    arrived(browser.walk(answer.with_query(client=other.identifier), RETURN_TO))
    assert me(service, browser)["user"]["clientId"] == one.identifier


def test_an_account_is_linked_where_the_provider_owns_the_domain_and_verified_the_address(
    node_provider: OidcProvider, client: Client, service: Service, browser: Browser
) -> None:
    known = client.add_user(ALICE.email)
    method = node("RS256")(node_provider)
    method.join(client, domains=["looking-glass.example"])
    arrived(method.sign_in(client, browser, ALICE))
    found = me(service, browser)
    assert found["user"]["id"] == known
    assert found["roles"] == ["Operator", "Viewer"]


@pytest.mark.parametrize("trusted", [False, True])
def test_a_provider_that_does_not_say_whether_it_verified_the_address(
    trusted: bool, glewlwyd_server: Glewlwyd, client: Client, service: Service, browser: Browser
) -> None:
    """``glewlwyd`` sends no ``email_verified``, so the client decides whether to trust the addresses."""
    known = client.add_user(ALICE.email)
    method = of_glewlwyd(glewlwyd_server)
    method.join(client, domains=["looking-glass.example"])
    client.change(oidc={"trustEmail": trusted})
    came_to = method.sign_in(client, browser, ALICE)
    if trusted:
        arrived(came_to)
        assert me(service, browser)["user"]["id"] == known
    else:
        assert "does not confirm it" in service.reason(refused(came_to))


@on_both_openid_providers
def test_a_person_whose_name_is_not_ascii(
    method: SignInMethod, client: Client, service: Service, browser: Browser
) -> None:
    """With ``oidc-provider``, the subject isn't ASCII either."""
    method.join(client)
    arrived(method.sign_in(client, browser, ZOE))
    found = me(service, browser)["user"]
    assert (found["firstName"], found["lastName"]) == ("Zoë", "Ünïcode")
