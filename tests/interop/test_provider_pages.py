"""A manager connects each real provider with only the console's pages, in six steps; errors are named."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

import pytest

from tests.interop.browser import Browser, Shown, Step
from tests.interop.providers.lemonldap import LemonLdap
from tests.interop.providers.people import ALICE
from tests.interop.service import AUTH, Client, Service, me
from tests.interop.sign_in_methods import METHODS, OidcMethod, SamlMethod, SignInMethod
from tests.support.server import DEMO_PASSWORD

pytestmark = pytest.mark.endurance

#: Each preset, and a provider for it.
FITTING = [
    ("okta-oidc", "oidc-provider ES256"),
    ("entra", "oidc-provider with all claims in the ID token"),
    ("google", "oidc-provider RS256"),
    ("keycloak", "lemonldap, PS512"),
    ("oidc", "glewlwyd"),
    ("okta-saml", "saml-idp"),
    ("saml", "djangosaml2idp"),
    ("saml", "lemonldap"),
]
presets = pytest.mark.parametrize(("preset", "method"), FITTING, indirect=["method"])


@dataclass
class Manager:
    """An Admin, on the pages of one provider."""

    client: Client
    browser: Browser
    name: str

    @property
    def service(self) -> Service:
        return self.client.service

    @property
    def path(self) -> str:
        return f"/console/providers/{self.name}"

    def get(self, path: str) -> Shown:
        return self._shown(Step("GET", f"{self.service.public}{path}", initiator=self.service.public))

    def post(self, page: Shown, action: str, **typed: str) -> Shown:
        [form] = [one for one in page.page.forms if one.action == action]
        return self._shown(page.send(form, **{name.replace("__", "."): text for name, text in typed.items()}))

    def _shown(self, step: Step) -> Shown:
        shown = self.browser.walk(step)
        assert isinstance(shown, Shown)
        assert shown.status == 200, f"{shown.url}: {shown.text}"
        return shown

    def ours(self, preset: str) -> dict[str, str]:
        """Open the first step; returns our values to copy."""
        shown = self.get(f"/console/providers/new?preset={preset}&name={self.name}")
        values = re.findall(r'<code id="our-(\w+)">([^<]+)</code>', shown.text)
        return {name: unescape(value) for name, value in values}

    def theirs(self, preset: str, method: SignInMethod, **instead: str) -> Shown:
        """Submit the second step with the provider's values."""
        page = self.get(f"/console/providers/new?preset={preset}&name={self.name}")
        if isinstance(method, OidcMethod):
            given = {
                "oidc.issuer": method.provider.issuer,
                "oidc.clientId": method.oidc["clientId"],
                "oidc.clientSecret": method.oidc["clientSecret"],
                "oidc.scopes": " ".join(method.oidc.get("scopes", ("openid", "profile", "email"))),
            }
        else:
            assert isinstance(method, SamlMethod)
            given = {"saml.metadataUrl": f"{method.provider.base}{method.provider.ready_path}"}
        return self.post(page, "/console/providers/new", **{**given, **instead})

    def tried(self, method: SignInMethod) -> str:
        """Sign in at the provider in the fifth step; returns the page's result."""
        start = Step("GET", f"{self.service.public}{self.path}/try", initiator=self.service.public)
        shown = method.provider.visit(self.browser, start, ALICE)
        assert isinstance(shown, Shown)
        assert shown.status == 200, f"{shown.url}: {shown.text}"
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", shown.text)).split())


@pytest.fixture
def manager(client: Client, browser: Browser) -> Manager:
    """A signed-in manager of a separate client."""
    service, email = client.service, f"{client.identifier}@managers.example"
    user = client.add_user(email, "Admin")
    path = f"/clients/{client.identifier}/users/{user}/invitation"
    token = service.administer("POST", path)["token"]
    accepted = {"token": token, "password": DEMO_PASSWORD}
    assert service.send("POST", f"{AUTH}/invitations/accept", accepted).status_code == 200
    page = browser.walk(Step("GET", f"{service.public}/sign-in?client={client.identifier}&returnTo=/console"))
    assert isinstance(page, Shown)
    [form] = [one for one in page.page.forms if "password" in one.fields]
    browser.walk(page.send(form, email=email, password=DEMO_PASSWORD))
    return Manager(client, browser, "company")


def introduce(method: SignInMethod, client: Client, ours: dict[str, str]) -> None:
    """Enter our values at the provider, as the manager does."""
    if isinstance(method, OidcMethod):
        method.provider.register(ours["callback_url"])
    else:
        assert isinstance(method, SamlMethod)
        given = {"serviceProvider": {"entityId": ours["entity_id"], "acsUrl": ours["acs_url"]}}
        method.introduce(client, given)


def introduce_key(method: SignInMethod, manager: Manager) -> None:
    """Repeat it for LemonLDAP, which requires a certificate, because the second step creates our key."""
    if isinstance(method, SamlMethod) and isinstance(method.provider, LemonLdap):
        introduce(method, manager.client, {"entity_id": "", "acs_url": ""})


@presets
def test_live_in_three_steps(
    preset: str, method: SignInMethod, manager: Manager, service: Service, another_browser: Browser
) -> None:
    introduce(method, manager.client, manager.ours(preset))
    rules = manager.theirs(preset, method)
    introduce_key(method, manager)
    test = manager.post(
        rules, f"{manager.path}/rules", createUsers="on", everyone__Viewer="", group0="Operators", group0__Operator="on"
    )
    tested = manager.post(test, f"{manager.path}/test")
    # LemonLDAP shows its sign-in page for any callback address.
    shows_a_page = isinstance(method, OidcMethod) and isinstance(method.provider, LemonLdap)
    assert ("The test can't tell whether it works" if shows_a_page else "No problems found") in tested.text
    said = manager.tried(method)
    assert "Test sign-in succeeded" in said
    assert "Roles Operator" in said
    assert f"Email {ALICE.email}" in said
    address = f"{service.public}{method.path}?client={manager.client.identifier}&provider={manager.name}"
    refused_page = another_browser.take(Step("GET", address))
    assert refused_page.status == 401
    assert "On</span>" in manager.post(manager.get(f"{manager.path}?step=live"), f"{manager.path}/switch-on").text
    method.provider.visit(another_browser, Step("GET", address), ALICE, f"{service.public}/account")
    assert me(service, another_browser)["user"]["email"] == ALICE.email


@pytest.mark.parametrize("method", ["oidc-provider ES256"], indirect=True)
def test_wrong_values_are_named(method: SignInMethod, manager: Manager) -> None:
    manager.theirs("oidc", method, **{"oidc.clientSecret": "not the secret"})
    tested = manager.post(manager.get(f"{manager.path}?step=live"), f"{manager.path}/test")
    assert "The client ID or the client secret is incorrect." in tested.text
    assert "registered, so the provider shows an error page" in tested.text
    page = manager.get(f"{manager.path}?step=theirs")
    typed = {
        "oidc.issuer": f"{method.provider.base}/",
        "oidc.clientSecret": method.oidc["clientSecret"],  # type: ignore[attr-defined]
        "oidc.unchecked": "on",
    }
    manager.post(page, f"{manager.path}/theirs", **typed)
    tested = manager.post(manager.get(f"{manager.path}?step=live"), f"{manager.path}/test")
    assert "They differ only in the slash at the end" in tested.text


def test_a_wrong_certificate_is_named(own_idp: object, manager: Manager) -> None:
    method = METHODS["saml-idp"][1](own_idp)
    introduce(method, manager.client, manager.ours("saml"))
    manager.theirs("saml", method)
    assert isinstance(method, SamlMethod)
    method.provider.rekey()
    introduce(method, manager.client, manager.ours("saml"))
    said = manager.tried(method)
    assert "Test sign-in failed" in said
    assert "no pinned certificate signed it" in said


@presets
def test_another_browser_cannot_end_a_try(
    preset: str, method: SignInMethod, manager: Manager, service: Service, another_browser: Browser
) -> None:
    introduce(method, manager.client, manager.ours(preset))
    manager.theirs(preset, method)
    introduce_key(method, manager)
    start = Step("GET", f"{service.public}{manager.path}/try", initiator=service.public)
    came_to = method.provider.visit(manager.browser, start, ALICE, f"{service.public}{AUTH}")
    assert isinstance(came_to, Step)
    shown = another_browser.walk(came_to)
    assert isinstance(shown, Shown)
    assert shown.status == 401
    assert "session" not in another_browser.jar.of(service.public)
    assert "Test sign-in" in manager.get(f"{manager.path}?step=live").text
