"""Base classes of the real providers: a process, people, and pages that a person answers."""

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
        """Takes over what the person is now: name, email address, groups."""
        raise NotImplementedError

    def answer(self, browser: Browser, shown: Shown, person: Person) -> Step:
        """The step that the person takes on a page of the provider: signing in, consenting."""
        raise NotImplementedError

    def asks(self, shown: Shown) -> bool:
        """Whether a page of the provider wants something of the person, and is no message that ends it all."""
        return shown.status < 400 and bool(shown.page.forms)

    def visit(self, browser: Browser, step: Step, person: Person, *until: str) -> Shown | Step:
        """Walks through the provider's pages as this person, to a page elsewhere, an error, or a step in ``until``."""
        for _ in range(10):
            came_to = browser.walk(step, *until)
            if isinstance(came_to, Step) or origin_of(came_to.url) != self.base or not self.asks(came_to):
                return came_to
            step = self.answer(browser, came_to, person)
        raise Stuck(f"{self.name} asks on and on: {browser.trail}")


class RealOidcProvider(RealProvider):
    """An OpenID provider."""

    #: What it calls itself: ``iss`` of its tokens.
    issuer: str

    def register(self, redirect_uri: str) -> None:
        """Lets browsers be sent there too."""
        raise NotImplementedError

    def rotate(self) -> None:
        """Signs by another key after this."""
        raise NotImplementedError


class RealSamlProvider(RealProvider):
    """A SAML identity provider."""

    #: What it calls itself in its metadata and responses.
    entity_id: str
    #: What it signs with.
    key: Path
    certificate: Path

    def rekey(self) -> None:
        """Takes a new signing key and starts again."""
        self.stop()
        self.key, self.certificate = certificates.make(self.folder, f"{self.name}-{secrets.token_hex(4)}")
        self.start()

    def metadata(self) -> str:
        """Its metadata document."""
        return http_client.send("GET", f"{self.base}{self.ready_path}").text
