"""The sign-in methods used by tests: a real provider, and its settings on both sides."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.interop.browser import Browser, Shown, Step
from tests.interop.providers import glewlwyd, lemonldap, oidc_provider
from tests.interop.providers.djangosaml2idp import DjangoSaml2Idp
from tests.interop.providers.glewlwyd import Glewlwyd
from tests.interop.providers.lemonldap import LemonLdap
from tests.interop.providers.oidc_provider import OidcProvider
from tests.interop.providers.people import PEOPLE, Person
from tests.interop.providers.provider import RealOidcProvider, RealProvider, RealSamlProvider
from tests.interop.providers.saml_idp import SamlIdp
from tests.interop.service import OIDC, RETURN_TO, SAML, Client


class SignInMethod(ABC):
    """A provider with one configuration."""

    provider: RealProvider
    #: Where a sign-in starts at our server.
    path: str
    _moved: frozenset[str] = frozenset()

    @abstractmethod
    def join(self, client: Client, **members: Any) -> dict[str, Any]:
        """Register the provider and the client with each other; returns the client's provider on our server."""

    def put(self, person: Person) -> None:
        """Update a person at the provider."""
        self.provider.put(person)
        self._moved |= {person.login}

    def restore(self) -> None:
        """Reset people to their original data."""
        for person in PEOPLE:
            if person.login in self._moved:
                self.provider.put(person)

    @abstractmethod
    def answer_address(self, client: Client, provider: str) -> str:
        """The redirect URI of the client's provider with that name."""

    def sign_in(self, client: Client, browser: Browser, person: Person, **query: str) -> Shown | Step:
        """Sign in from the app's link to the step that returns to the app, or to a final page."""
        return self.provider.visit(browser, client.start(self.path, **query), person, RETURN_TO)

    def refuse(self, client: Client, browser: Browser, person: Person) -> Step:
        """Like :meth:`answer`, for a person who signs in at the provider and then rejects consent."""
        assert isinstance(self.provider, OidcProvider | LemonLdap)
        step = client.start(self.path)
        while True:
            page = browser.walk(step, RETURN_TO)
            assert isinstance(page, Shown)
            [form] = page.page.forms
            if not form.of("password"):
                came_to = browser.walk(self.provider.deny(page), self.answer_address(client, "company"))
                assert isinstance(came_to, Step)
                return came_to
            step = self.provider.answer(browser, page, person)

    def answer(self, client: Client, browser: Browser, person: Person, **query: str) -> Step:
        """Like :meth:`sign_in`, up to the step that sends the provider's response to us. That step isn't taken."""
        start = client.start(self.path, **query)
        address = self.answer_address(client, query.get("provider", "company"))
        came_to = self.provider.visit(browser, browser.onward_from(start), person, address)
        assert isinstance(came_to, Step), f"stopped at {came_to.url}: {came_to.status} {came_to.text[:1000]}"
        return came_to


@dataclass
class OidcMethod(SignInMethod):
    """An OpenID provider for one of its clients."""

    provider: RealOidcProvider
    oidc: dict[str, Any]
    path: str = OIDC

    def join(self, client: Client, **members: Any) -> dict[str, Any]:
        made = client.add(**{"oidc": {"issuer": self.provider.issuer, **self.oidc}, **members})
        self.provider.register(made["serviceProvider"]["callbackUrl"])
        return made

    def answer_address(self, client: Client, provider: str) -> str:
        return client.callback(provider)


@dataclass
class SamlMethod(SignInMethod):
    """A SAML provider. ``options`` are its settings for us, and ``saml`` our settings for it."""

    provider: RealSamlProvider
    saml: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    path: str = SAML

    def join(self, client: Client, **members: Any) -> dict[str, Any]:
        made = client.add(**{"saml": {"metadata": self.provider.metadata(), **self.saml}, **members})
        self.introduce(client, made)
        return made

    def introduce(self, client: Client, made: dict[str, Any]) -> None:
        """Register our server at the provider."""
        if isinstance(self.provider, DjangoSaml2Idp):
            self.provider.serve(client.entity, client.metadata(), **self.options)
        elif isinstance(self.provider, LemonLdap):
            self.provider.serve(client.metadata(), **self.options)
        elif isinstance(self.provider, SamlIdp):
            ours = made["serviceProvider"]
            options = dict(self.options)
            if options.pop("encrypt", False):
                options["encrypt_for"] = pem(ours["certificates"][0])
            self.provider.serve(ours["entityId"], ours["acsUrl"], **options)

    def answer_address(self, client: Client, provider: str) -> str:
        return client.service.acs


def pem(certificate: str) -> str:
    """Convert a base64 certificate to PEM."""
    text = base64.b64encode(base64.b64decode(certificate)).decode()
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"


def node(algorithm: str) -> Callable[[Any], SignInMethod]:
    """``oidc-provider`` with ID tokens signed by ``algorithm``."""
    scopes = ["openid", "profile", "email", "groups"]
    given = {"clientId": algorithm, "clientSecret": oidc_provider.SECRET, "scopes": scopes}
    return lambda provider: OidcMethod(provider, given)


def of_glewlwyd(provider: Glewlwyd) -> SignInMethod:
    """``glewlwyd``."""
    return OidcMethod(provider, {"clientId": glewlwyd.CLIENT, "clientSecret": glewlwyd.SECRET})


def of_lemonldap(provider: LemonLdap) -> SignInMethod:
    """The OpenID side of ``lemonldap-ng``."""
    return OidcMethod(provider, {"clientId": lemonldap.CLIENT, "clientSecret": lemonldap.SECRET})


def saml(ours: dict[str, Any] | None = None, **theirs: Any) -> Callable[[Any], SignInMethod]:
    """A SAML provider, with settings of ``ours`` for it and ``theirs`` for us."""
    return lambda provider: SamlMethod(provider, ours or {}, theirs)


_BY_POST = {"binding": "post"}
#: The provider's fixture, and the function that makes a sign-in method of it.
OIDC_METHODS: dict[str, tuple[str, Callable[[Any], SignInMethod]]] = {
    **{f"oidc-provider {algorithm}": ("node_provider", node(algorithm)) for algorithm in oidc_provider.ALGORITHMS},
    "oidc-provider with all claims in the ID token": ("talkative_provider", node("RS256")),
    "glewlwyd": ("glewlwyd_server", of_glewlwyd),
    "lemonldap, PS512": ("lemonldap_server", of_lemonldap),
}
SAML_METHODS: dict[str, tuple[str, Callable[[Any], SignInMethod]]] = {
    "saml-idp": ("node_idp", saml()),
    "saml-idp asked by POST": ("node_idp", saml(_BY_POST)),
    "saml-idp encrypted": ("node_idp", saml(encrypt=True)),
    "djangosaml2idp": ("django_idp", saml()),
    "djangosaml2idp asked by POST": ("django_idp", saml(_BY_POST)),
    "djangosaml2idp that wants signed requests": ("strict_django_idp", saml(_BY_POST)),
    "djangosaml2idp, assertion signed": ("django_idp", saml(sign_response=False)),
    "djangosaml2idp, response signed": ("django_idp", saml(sign_assertion=False)),
    "djangosaml2idp by rsa-sha512": ("django_idp", saml(algorithm="sha512")),
    "djangosaml2idp encrypted": ("django_idp", saml(encrypt=True)),
    "djangosaml2idp encrypted, assertion signed": ("django_idp", saml(encrypt=True, sign_response=False)),
    "djangosaml2idp encrypted, response signed": ("django_idp", saml(encrypt=True, sign_assertion=False)),
    "lemonldap": ("lemonldap_server", saml()),
    "lemonldap asked by POST": ("lemonldap_server", saml(_BY_POST)),
    "lemonldap encrypted": ("lemonldap_server", saml(encrypt=True)),
    "lemonldap, assertion signed": ("lemonldap_server", saml(sign=False)),
}
#: A provider for a single test, which can change it freely.
OWN_METHODS: dict[str, tuple[str, Callable[[Any], SignInMethod]]] = {
    "oidc-provider by itself": ("own_provider", node("RS256")),
    "lemonldap by itself": ("own_lemonldap", of_lemonldap),
}
METHODS = {**OIDC_METHODS, **SAML_METHODS}


def on(*names: str) -> pytest.MarkDecorator:
    """Run the test with each of these as its fixture ``method``."""
    return pytest.mark.parametrize("method", names, indirect=True)


on_every_method = on(*METHODS)
on_every_saml_provider = on("saml-idp", "djangosaml2idp", "lemonldap")
on_every_provider = on("oidc-provider ES256", "glewlwyd", "lemonldap, PS512", "saml-idp", "djangosaml2idp", "lemonldap")
