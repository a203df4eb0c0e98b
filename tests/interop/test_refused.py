"""Rejected sign-ins with every real provider: no session starts, and a permitted user can sign in afterward."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from tests.interop.browser import JSON, Browser, Shown, Stuck
from tests.interop.cookies import origin_of
from tests.interop.failures import failure, refused
from tests.interop.providers.people import ALICE, BARRED, BOB, Person
from tests.interop.service import RETURN_TO, Client, Service, arrived, me
from tests.interop.sign_in_methods import OidcMethod, SignInMethod, on, on_every_provider

pytestmark = pytest.mark.endurance

CAROL = Person("carol", "Carol", "Lewis", "carol@looking-glass.example", ("Operators",))
MISTYPED = replace(ALICE, password="not the one that the provider knows")


@on("glewlwyd", "lemonldap, PS512", "djangosaml2idp", "lemonldap")
def test_someone_who_does_not_know_the_password(
    method: SignInMethod, client: Client, service: Service, browser: Browser
) -> None:
    method.join(client)
    with pytest.raises(Stuck):
        method.sign_in(client, browser, MISTYPED)
    assert "session" not in browser.jar.of(service.public)
    arrived(method.sign_in(client, browser, ALICE))
    assert me(service, browser)["user"]["email"] == ALICE.email


@on("glewlwyd", "lemonldap, PS512", "djangosaml2idp", "lemonldap")
def test_someone_whom_the_provider_does_not_let_use_us(
    method: SignInMethod, client: Client, service: Service, browser: Browser, another_browser: Browser
) -> None:
    method.join(client)
    barred, allowed = BOB.moved_to(BARRED, "Operators"), BOB.moved_to("Operators")
    method.put(barred)
    with contextlib.suppress(Stuck):  # glewlwyd's page keeps asking, while the others reject
        came_to = method.sign_in(client, browser, barred)
        assert isinstance(came_to, Shown)
        assert origin_of(came_to.url) == method.provider.base
    assert "session" not in browser.jar.of(service.public)
    method.put(allowed)
    arrived(method.sign_in(client, another_browser, allowed))


@on("oidc-provider ES256", "lemonldap, PS512")
def test_someone_who_rejects_consent_is_told_so_and_can_try_again(
    method: SignInMethod, client: Client, service: Service, browser: Browser, another_browser: Browser
) -> None:
    """The page says that the sign-in failed, and the JSON for programs gives the reason."""
    method.join(client)
    method.put(CAROL)
    reasons = ("redirect: access_denied", "redirect: consent_required")
    shown = refused(browser.walk(method.refuse(client, browser, CAROL), RETURN_TO))
    assert service.reason(shown) in reasons
    called = another_browser.take(method.refuse(client, another_browser, CAROL), accept=JSON)
    error = failure(called.headers, called.text)
    assert (called.status, error.code) == (401, "SSO_FAILED")
    assert error.said.startswith(("You canceled the sign-in", "Your organization's sign-in page requires your consent"))
    assert service.reason(error) in reasons
    arrived(method.sign_in(client, browser, CAROL))
    assert me(service, browser)["user"]["email"] == CAROL.email


@on_every_provider
def test_a_provider_that_makes_no_accounts_lets_those_in_who_have_one(
    method: SignInMethod, client: Client, service: Service, browser: Browser, another_browser: Browser
) -> None:
    """They get their groups' roles besides their existing ones; a user with roles here doesn't need a group."""
    client.add_user(ALICE.email)
    method.join(client, createUsers=False, domains=["looking-glass.example"])
    if method.provider.name in ("glewlwyd", "lemonldap") and isinstance(
        method, OidcMethod
    ):  # they don't say whether an address is verified
        client.change(oidc={"trustEmail": True})
    error = refused(method.sign_in(client, browser, BOB))
    assert service.reason(error) == "unknown user, and the provider creates no users"
    assert "session" not in browser.jar.of(service.public)
    client.add_user(BOB.email)
    arrived(method.sign_in(client, browser, BOB))
    assert me(service, browser)["roles"] == ["Viewer"]
    arrived(method.sign_in(client, another_browser, ALICE))
    assert me(service, another_browser)["roles"] == ["Operator", "Viewer"]


@on_every_provider
def test_an_address_alone_opens_no_account(
    method: SignInMethod, client: Client, service: Service, browser: Browser
) -> None:
    """The provider owns no domain, so it could claim anybody's address."""
    client.add_user(ALICE.email)
    method.join(client)
    assert "does not confirm it" in service.reason(refused(method.sign_in(client, browser, ALICE)))
    assert "session" not in browser.jar.of(service.public)


@on_every_provider
def test_someone_who_is_deactivated_in_the_meantime(
    method: SignInMethod, client: Client, service: Service, browser: Browser, another_browser: Browser
) -> None:
    method.join(client)
    arrived(method.sign_in(client, browser, ALICE))
    path = f"/clients/{client.identifier}/users/{me(service, browser)['user']['id']}"
    answer = method.answer(client, another_browser, ALICE)
    service.administer("POST", f"{path}/deactivate")
    refused(another_browser.walk(answer, RETURN_TO), "ACCOUNT_DISABLED", 403)
    assert "session" not in another_browser.jar.of(service.public)
    service.administer("POST", f"{path}/restore")
    arrived(method.sign_in(client, another_browser, ALICE))


@on_every_provider
def test_a_client_that_is_suspended_in_the_meantime(
    method: SignInMethod, client: Client, service: Service, browser: Browser
) -> None:
    method.join(client)
    answer = method.answer(client, browser, ALICE)
    service.administer("POST", f"/clients/{client.identifier}/suspend")
    refused(browser.walk(answer, RETURN_TO), "ACCOUNT_DISABLED", 403)
    assert "session" not in browser.jar.of(service.public)


@on("oidc-provider by itself", "glewlwyd", "lemonldap, PS512")
def test_a_provider_that_is_killed_during_a_sign_in(
    method: SignInMethod, client: Client, service: Service, browser: Browser
) -> None:
    """People are notified while it's down, and can sign in once it's back."""
    method.join(client)
    answer = method.answer(client, browser, ALICE)
    method.provider.kill()
    try:
        refused(browser.walk(answer, RETURN_TO), "PROVIDER_UNAVAILABLE", 502)
        assert "session" not in browser.jar.of(service.public)
    finally:
        method.provider.start()
    arrived(method.sign_in(client, browser, ALICE))
    assert me(service, browser)["user"]["email"] == ALICE.email
