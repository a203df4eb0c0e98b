"""The ways in: a provider and how it is set up, on both sides. :mod:`test_sign_in` tells its stories on all of them."""

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
from tests.interop.providers.provider import OidcPeer, Peer, SamlPeer
from tests.interop.providers.saml_idp import SamlIdp
from tests.interop.service import OIDC, RETURN_TO, SAML, Client


class Way(ABC):
    """A provider, set up in one way."""

    peer: Peer
    #: Where a sign-in starts at our server.
    path: str
    _moved: frozenset[str] = frozenset()

    @abstractmethod
    def join(self, client: Client, **members: Any) -> dict[str, Any]:
        """Makes the provider and the client known to each other; the client's provider as our server has it."""

    def put(self, person: Person) -> None:
        """Tells the provider what the person is now."""
        self.peer.put(person)
        self._moved |= {person.login}

    def restore(self) -> None:
        """People are again what they were."""
        for person in PEOPLE:
            if person.login in self._moved:
                self.peer.put(person)

    @abstractmethod
    def answer_address(self, client: Client, provider: str) -> str:
        """Where the answer of the client's provider of that name comes to."""

    def sign_in(self, client: Client, browser: Browser, person: Person, **query: str) -> Shown | Step:
        """From the application's link to the step back to the application, or to a page that ends it all."""
        return self.peer.visit(browser, client.start(self.path, **query), person, RETURN_TO)

    def refuse(self, client: Client, browser: Browser, person: Person) -> Shown | Step:
        """As :meth:`sign_in` by somebody who signs in at the provider, and wants no application to know of it."""
        assert isinstance(self.peer, OidcProvider | LemonLdap)
        step = client.start(self.path)
        while True:
            page = browser.walk(step, RETURN_TO)
            assert isinstance(page, Shown)
            [form] = page.page.forms
            if not form.of("password"):
                return browser.walk(self.peer.deny(page), RETURN_TO)
            step = self.peer.answer(browser, page, person)

    def answer(self, client: Client, browser: Browser, person: Person, **query: str) -> Step:
        """As :meth:`sign_in`, up to the step with which the provider's answer comes to us. It is not taken."""
        start = client.start(self.path, **query)
        address = self.answer_address(client, query.get("provider", "company"))
        came_to = self.peer.visit(browser, browser.onward_from(start), person, address)
        assert isinstance(came_to, Step), f"stopped at {came_to.url}: {came_to.status} {came_to.text[:1000]}"
        return came_to


@dataclass
class OidcWay(Way):
    """An OpenID provider as one of its clients."""

    peer: OidcPeer
    oidc: dict[str, Any]
    path: str = OIDC

    def join(self, client: Client, **members: Any) -> dict[str, Any]:
        made = client.add(**{"oidc": {"issuer": self.peer.issuer, **self.oidc}, **members})
        self.peer.register(made["serviceProvider"]["callbackUrl"])
        return made

    def answer_address(self, client: Client, provider: str) -> str:
        return client.callback(provider)


@dataclass
class SamlWay(Way):
    """A SAML provider. ``options`` are its own settings for us, ``saml`` are ours for it."""

    peer: SamlPeer
    saml: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    path: str = SAML

    def join(self, client: Client, **members: Any) -> dict[str, Any]:
        made = client.add(**{"saml": {"metadata": self.peer.metadata(), **self.saml}, **members})
        self.introduce(client, made)
        return made

    def introduce(self, client: Client, made: dict[str, Any]) -> None:
        """Makes us known to the provider."""
        if isinstance(self.peer, DjangoSaml2Idp):
            self.peer.serve(client.entity, client.metadata(), **self.options)
        elif isinstance(self.peer, LemonLdap):
            self.peer.serve(client.metadata(), **self.options)
        elif isinstance(self.peer, SamlIdp):
            ours = made["serviceProvider"]
            options = dict(self.options)
            if options.pop("encrypt", False):
                options["encrypt_for"] = pem(ours["certificates"][0])
            self.peer.serve(ours["entityId"], ours["acsUrl"], **options)

    def answer_address(self, client: Client, provider: str) -> str:
        return client.service.acs


def pem(certificate: str) -> str:
    """A certificate in base64 as PEM."""
    text = base64.b64encode(base64.b64decode(certificate)).decode()
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"


def node(algorithm: str) -> Callable[[Any], Way]:
    """``oidc-provider``, with ID tokens signed by ``algorithm``."""
    scopes = ["openid", "profile", "email", "groups"]
    given = {"clientId": algorithm, "clientSecret": oidc_provider.SECRET, "scopes": scopes}
    return lambda peer: OidcWay(peer, given)


def of_glewlwyd(peer: Glewlwyd) -> Way:
    """``glewlwyd``."""
    return OidcWay(peer, {"clientId": glewlwyd.CLIENT, "clientSecret": glewlwyd.SECRET})


def of_lemonldap(peer: LemonLdap) -> Way:
    """The OpenID side of ``lemonldap-ng``."""
    return OidcWay(peer, {"clientId": lemonldap.CLIENT, "clientSecret": lemonldap.SECRET})


def saml(ours: dict[str, Any] | None = None, **theirs: Any) -> Callable[[Any], Way]:
    """A SAML provider, with settings of ``ours`` for it and ``theirs`` for us."""
    return lambda peer: SamlWay(peer, ours or {}, theirs)


_BY_POST = {"binding": "post"}
#: The fixture of the provider, and the way from it.
OIDC_WAYS: dict[str, tuple[str, Callable[[Any], Way]]] = {
    **{f"oidc-provider {algorithm}": ("node_provider", node(algorithm)) for algorithm in oidc_provider.ALGORITHMS},
    "oidc-provider with all claims in the ID token": ("talkative_provider", node("RS256")),
    "glewlwyd": ("glewlwyd_server", of_glewlwyd),
    "lemonldap, PS512": ("lemonldap_server", of_lemonldap),
}
SAML_WAYS: dict[str, tuple[str, Callable[[Any], Way]]] = {
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
#: A provider for one test alone, which may do with it what it likes.
OWN_WAYS: dict[str, tuple[str, Callable[[Any], Way]]] = {
    "oidc-provider by itself": ("own_provider", node("RS256")),
    "lemonldap by itself": ("own_lemonldap", of_lemonldap),
}
WAYS = {**OIDC_WAYS, **SAML_WAYS}


def on(*names: str) -> pytest.MarkDecorator:
    """The test's fixture ``way`` is each of these in turn."""
    return pytest.mark.parametrize("way", names, indirect=True)


on_every_way = on(*WAYS)
on_every_saml_peer = on("saml-idp", "djangosaml2idp", "lemonldap")
on_every_peer = on("oidc-provider ES256", "glewlwyd", "lemonldap, PS512", "saml-idp", "djangosaml2idp", "lemonldap")
