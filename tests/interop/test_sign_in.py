"""Sign-in with every real provider, by OpenID and SAML, with each kind of signature and encryption."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.interop.browser import Browser, Shown
from tests.interop.failures import refused
from tests.interop.providers.people import ALICE, BOB
from tests.interop.service import AUTH, RETURN_TO, Client, Service, arrived, me
from tests.interop.sign_in_methods import SignInMethod, on_every_method, on_every_provider
from tests.support.rules import rule


@on_every_method
def test_a_person_gets_an_account_with_the_roles_of_their_groups(
    method: SignInMethod, client: Client, service: Service, browser: Browser
) -> None:
    method.join(client)
    assert arrived(method.sign_in(client, browser, ALICE)).url == RETURN_TO
    found = me(service, browser)
    assert found["user"]["email"] == ALICE.email
    assert (found["user"]["firstName"], found["user"]["lastName"]) == (ALICE.first_name, ALICE.last_name)
    assert found["user"]["clientId"] == client.identifier
    assert found["roles"] == ["Operator"]
    cookie = browser.jar.of(service.public)["session"]
    assert cookie.http_only
    assert cookie.secure
    assert cookie.same_site == "lax"


@pytest.mark.endurance
@on_every_provider
def test_the_same_person_is_the_same_user_and_a_group_that_is_gone_takes_its_role_along(
    method: SignInMethod, client: Client, service: Service, browser: Browser, another_browser: Browser
) -> None:
    method.join(client)
    arrived(method.sign_in(client, browser, ALICE))
    first = me(service, browser)
    moved = ALICE.moved_to("Everyone", "Writers")
    method.put(moved)
    arrived(method.sign_in(client, another_browser, moved))
    again = me(service, another_browser)
    assert again["user"]["id"] == first["user"]["id"]
    assert again["roles"] == ["Author", "Publisher"]
    assert me(service, browser)["roles"] == ["Author", "Publisher"]  # in the older session too


@rule("SAML-CLIENT")
@on_every_provider
def test_no_one_can_sign_in_whose_groups_give_no_role(
    method: SignInMethod, client: Client, service: Service, browser: Browser
) -> None:
    method.join(client)
    error = refused(method.sign_in(client, browser, BOB))
    assert service.reason(error).startswith("no group grants a role; groups: ")
    assert "session" not in browser.jar.of(service.public)


@on_every_provider
def test_an_answer_counts_once(method: SignInMethod, client: Client, service: Service, browser: Browser) -> None:
    method.join(client)
    answer = method.answer(client, browser, ALICE)
    arrived(browser.walk(answer, RETURN_TO))
    session = browser.jar.of(service.public)["session"].value
    refused(browser.walk(answer, RETURN_TO))
    assert browser.jar.of(service.public)["session"].value == session


@pytest.mark.endurance
@on_every_provider
def test_an_answer_counts_in_the_browser_that_asked(
    method: SignInMethod, client: Client, service: Service, browser: Browser, another_browser: Browser
) -> None:
    """If a victim could be made to open the attacker's own response, the victim would be signed in as the attacker
    (login CSRF)."""
    method.join(client)
    answer = method.answer(client, browser, ALICE)
    error = refused(another_browser.walk(answer, RETURN_TO))
    assert "different browser" in service.reason(error)
    assert "session" not in another_browser.jar.of(service.public)


@pytest.mark.endurance
@on_every_provider
def test_an_app_gets_a_code_for_tokens(
    method: SignInMethod, client: Client, service: Service, browser: Browser
) -> None:
    method.join(client)
    came_to = arrived(method.sign_in(client, browser, ALICE, response="code"))
    assert "session" not in browser.jar.of(service.public)
    [code] = parse_qs(urlsplit(came_to.url).query)["code"]
    exchanged = service.send("POST", f"{AUTH}/exchange", {"code": code}).json()["data"]
    assert exchanged["user"]["email"] == ALICE.email
    assert service.send("GET", f"{AUTH}/me", token=exchanged["token"]).json()["data"]["roles"] == ["Operator"]
    assert service.send("POST", f"{AUTH}/exchange", {"code": code}).status_code == 401


@pytest.mark.endurance
@on_every_provider
def test_a_provider_that_is_turned_off_signs_no_one_in(
    method: SignInMethod, client: Client, service: Service, browser: Browser
) -> None:
    """Neither new sign-ins nor those in progress succeed."""
    method.join(client)
    answer = method.answer(client, browser, ALICE)
    service.administer("POST", f"/clients/{client.identifier}/providers/company/switch-off")
    refused(browser.walk(answer, RETURN_TO))
    shown = browser.take(client.start(method.path))
    assert isinstance(shown, Shown)
    refused(shown)


@pytest.mark.endurance
@on_every_provider
def test_the_same_on_plain_http_as_someone_tries_it_out(method: SignInMethod, plain_service: Service) -> None:
    """Browsers keep no cross-site cookie for such a server, but here everything is one site."""
    client = plain_service.client()
    method.join(client)
    with plain_service.browser() as browser, plain_service.browser() as another_browser:
        answer = method.answer(client, browser, ALICE)
        refused(another_browser.walk(answer, RETURN_TO))
        arrived(browser.walk(answer, RETURN_TO))
        assert me(plain_service, browser)["user"]["email"] == ALICE.email
