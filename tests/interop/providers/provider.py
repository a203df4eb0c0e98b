"""Base classes of the real providers: a process, people, and pages that a person completes."""

from __future__ import annotations

import secrets
from pathlib import Path

from tests.interop import http_client
from tests.interop.browser import Browser, Shown, Step, Stuck
from tests.interop.cookies import origin_of
from tests.interop.providers import certificates
from tests.interop.providers.people import Person
from tests.interop.providers.process import Process


class RealProvider(Process):
    """An identity provider."""

    def put(self, person: Person) -> None:
        """Store a person's current name, email address, and groups."""
        raise NotImplementedError

    def answer(self, browser: Browser, shown: Shown, person: Person) -> Step:
        """The person's step on a page of the provider, such as signing in or consenting."""
        raise NotImplementedError

    def asks(self, shown: Shown) -> bool:
        """Whether a page of the provider requires input, instead of showing a final message."""
        return shown.status < 400 and bool(shown.page.forms)

    def visit(self, browser: Browser, step: Step, person: Person, *until: str) -> Shown | Step:
        """Walk through the provider's pages as this person, to another page, an error, or a step in ``until``."""
        for _ in range(10):
            came_to = browser.walk(step, *until)
            if isinstance(came_to, Step) or origin_of(came_to.url) != self.base or not self.asks(came_to):
                return came_to
            step = self.answer(browser, came_to, person)
        raise Stuck(f"{self.name} asks on and on: {browser.trail}")


class RealOidcProvider(RealProvider):
    """An OpenID provider."""

    #: Its issuer: ``iss`` of its tokens.
    issuer: str

    def register(self, redirect_uri: str) -> None:
        """Allow redirects to this URI as well."""
        raise NotImplementedError

    def rotate(self) -> None:
        """Use another signing key from now on."""
        raise NotImplementedError


class RealSamlProvider(RealProvider):
    """A SAML identity provider."""

    #: Its entity ID in its metadata and responses.
    entity_id: str
    #: Its signing key.
    key: Path
    certificate: Path

    def rekey(self) -> None:
        """Use a new signing key, and restart."""
        self.stop()
        self.key, self.certificate = certificates.make(self.folder, f"{self.name}-{secrets.token_hex(4)}")
        self.start()

    def metadata(self) -> str:
        """Its metadata document."""
        return http_client.send("GET", f"{self.base}{self.ready_path}").text
