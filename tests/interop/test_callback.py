"""Callback addresses with real OpenID providers: `oidc-provider` sends `iss`, `lemonldap` doesn't.

Mix-up (RFC 9700, section 4.4): the attacker's provider redirects the browser to the honest one, with the state, nonce,
and challenge of the sign-in that started at the attacker's. No attacker must receive the honest code.
"""

from __future__ import annotations

import itertools
import re
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.interop import http_client, sign_in_methods
from tests.interop.browser import Browser, Step
from tests.interop.failures import refused
from tests.interop.providers.glewlwyd import Glewlwyd
from tests.interop.providers.lemonldap import LemonLdap
from tests.interop.providers.oidc_provider import OidcProvider
from tests.interop.providers.people import ALICE
from tests.interop.service import OIDC, Client, Service, arrived, me
from tests.interop.sign_in_methods import OidcMethod, node, of_lemonldap
from tests.support.rules import rule

pytestmark = pytest.mark.endurance

MARKED = {"oidc": {"sharedCallback": True}}
ELSEWHERE = "the response arrived at a different redirect URI"


@pytest.fixture
def sends_iss(node_provider: OidcProvider) -> OidcMethod:
    method = node("RS256")(node_provider)
    assert isinstance(method, OidcMethod)
    return method


@pytest.fixture
def sends_none(lemonldap_server: LemonLdap) -> OidcMethod:
    method = of_lemonldap(lemonldap_server)
    assert isinstance(method, OidcMethod)
    return method


@pytest.fixture
def of_glewlwyd(glewlwyd_server: Glewlwyd) -> OidcMethod:
    method = sign_in_methods.of_glewlwyd(glewlwyd_server)
    assert isinstance(method, OidcMethod)
    return method


def codes_shown(service: Service) -> float:
    """The number of calls that the server has made to token endpoints."""
    text = http_client.send("GET", f"{service.metrics}/metrics").text
    found = re.findall(r'^manifest_provider_seconds_count\{[^}]*call="token"[^}]*\} (\S+)$', text, re.MULTILINE)
    return sum(float(number) for number in found)


def sent_on(browser: Browser, service: Service, evil: Client, honest: OidcMethod, callback: str) -> Step:
    """Redirect the browser as the attacker's provider; returns the step that sends the honest response to us."""
    theirs = browser.onward_from(evil.start(OIDC)).query
    document = http_client.send("GET", f"{honest.provider.issuer.rstrip('/')}/.well-known/openid-configuration").json()
    asked = {
        **{name: theirs[name] for name in ("response_type", "scope", "state", "nonce", "code_challenge")},
        "code_challenge_method": "S256",
        "client_id": honest.oidc["clientId"],
        "redirect_uri": callback,
    }
    step = Step("GET", f"{document['authorization_endpoint']}?{urlencode(asked)}", initiator="https://evil.example")
    came_to = honest.provider.visit(browser, step, ALICE, callback)
    assert isinstance(came_to, Step), f"stopped at {came_to.url}: {came_to.status} {came_to.text[:1000]}"
    assert came_to.query["state"] == theirs["state"]
    assert came_to.query["code"]
    return came_to


@rule("OIDC-MIX-UP")
@pytest.mark.parametrize(
    ("honest_sends_iss", "evil_first", "marked"), list(itertools.product((True, False), (True, False), (True, False)))
)
def test_none_of_eight_mix_ups_opens_a_session_or_shows_the_attacker_a_code(
    honest_sends_iss: bool, evil_first: bool, marked: bool, sends_iss: OidcMethod, sends_none: OidcMethod,
    service: Service, browser: Browser, another_browser: Browser,
) -> None:  # fmt: skip
    honest, evil = (sends_iss, sends_none) if honest_sends_iss else (sends_none, sends_iss)
    clients = [service.client(), service.client()]
    theirs, ours = clients if evil_first else reversed(clients)
    oidc = {**honest.oidc, **({"sharedCallback": True} if marked else {})}
    OidcMethod(honest.provider, oidc).join(ours)
    OidcMethod(evil.provider, {**evil.oidc, **({"sharedCallback": True} if marked else {})}).join(theirs)
    before = codes_shown(service)
    for callback in (service.shared_callback, ours.callback("company")):  # the honest provider has registered both
        answer = sent_on(browser, service, theirs, honest, callback)
        error = refused(browser.take(answer))
        assert service.reason(error) == ELSEWHERE
        assert "session" not in browser.jar.of(service.public)
    assert codes_shown(service) == before
    arrived(honest.sign_in(ours, another_browser, ALICE))
    assert codes_shown(service) > before


def test_the_shared_address_still_signs_in_where_the_provider_sends_iss(
    sends_iss: OidcMethod, service: Service, client: Client, browser: Browser
) -> None:
    OidcMethod(sends_iss.provider, {**sends_iss.oidc, "sharedCallback": True}).join(client)
    answer = sends_iss.provider.visit(browser, browser.onward_from(client.start(OIDC)), ALICE, service.shared_callback)
    assert isinstance(answer, Step)
    assert answer.url.startswith(f"{service.shared_callback}?")
    assert answer.query["iss"] == sends_iss.provider.issuer
    arrived(browser.walk(answer, "https://app.customer.example/"))
    assert me(service, browser)["user"]["email"] == ALICE.email


def test_a_marked_provider_that_sends_none_signs_in_at_its_own_address(
    sends_none: OidcMethod, service: Service, client: Client, browser: Browser
) -> None:
    """In the state after an upgrade, once the printed address is registered."""
    method = OidcMethod(sends_none.provider, {**sends_none.oidc, "sharedCallback": True})
    made = client.add(oidc={"issuer": method.provider.issuer, **method.oidc})
    tested = findings(service, client)
    assert (
        f"Register the redirect URI {client.callback('company')}, which belongs only to this provider." in tested["ok"]
    )
    assert "The redirect URI is registered at the provider." not in tested["ok"]
    method.provider.register(made["serviceProvider"]["callbackUrl"])
    arrived(method.sign_in(client, browser, ALICE))
    assert me(service, browser)["user"]["email"] == ALICE.email


def findings(service: Service, client: Client) -> dict[str, list[str]]:
    """The messages of ``provider test``, by level."""
    data: Any = service.administer("POST", f"/clients/{client.identifier}/providers/company/test")
    return {
        level: [found["text"] for found in data["findings"] if found["level"] == level]
        for level in ("ok", "note", "bad")
    }


@pytest.mark.parametrize("fixture", ["sends_iss", "sends_none", "of_glewlwyd"])
def test_the_test_of_a_real_provider_tells_a_right_registration_from_a_wrong_one(
    fixture: str, request: pytest.FixtureRequest, service: Service, client: Client
) -> None:
    method: OidcMethod = request.getfixturevalue(fixture)
    made = client.add(oidc={"issuer": method.provider.issuer, **method.oidc})
    unregistered = findings(service, client)
    assert "The redirect URI is registered at the provider." not in unregistered["ok"]
    method.provider.register(made["serviceProvider"]["callbackUrl"])
    registered = findings(service, client)
    assert registered["bad"] == []
    assert "The provider knows this client and accepts its authentication." in registered["ok"]
    client.change(oidc={"clientSecret": "not the one that the provider knows"})
    assert "The client ID or the client secret is incorrect." in findings(service, client)["bad"]
