"""Our server as a real process, with its clients and their providers."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx2

from tests.interop import http_client
from tests.interop.browser import Browser, Shown, Step
from tests.interop.failures import Failure
from tests.support.server import DEMO_PASSWORD, Server

AUTH = "/api/client/auth"
OIDC, SAML = f"{AUTH}/oidc", f"{AUTH}/okta-saml"
RETURN_TO = "https://app.customer.example/signed-in"
GROUP_ROLES = [
    {"group": "Operators", "roles": ["Operator"]},
    {"group": "Writers", "roles": ["Author", "Publisher"]},
]
_numbers = itertools.count(1)


@dataclass
class Service:
    """The server. ``public`` is the address that browsers and providers use, possibly a proxy's."""

    server: Server
    public: str
    metrics: str = ""  # the address of its metrics
    _admin: str = field(default="", init=False)
    _holders: dict[str, str] = field(default_factory=dict, init=False)  # by domain: the client that owns it

    @property
    def shared_callback(self) -> str:
        """The redirect URI of marked OpenID providers that announce ``iss``."""
        return f"{self.public}{OIDC}/callback"

    @property
    def acs(self) -> str:
        """The URL that SAML providers post to."""
        return f"{self.public}{SAML}"

    def browser(self) -> Browser:
        """A new browser."""
        return Browser({self.public: self.server.base})

    def send(self, method: str, path: str, body: Any = None, token: str = "") -> httpx2.Response:
        """Send a request outside of a browser."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return http_client.send(method, f"{self.server.base}{path}", json=body, headers=headers)

    def administer(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request as a system admin; returns its ``data``."""
        answer = self.send(method, f"/api/admin{path}", body, self._admin)
        if answer.status_code in (401, 403):  # not signed in yet, or too long ago
            admin = {"username": "admin", "password": DEMO_PASSWORD}
            self._admin = self.send("POST", "/api/admin/auth/sign-in", admin).json()["data"]["token"]
            answer = self.send(method, f"/api/admin{path}", body, self._admin)
        assert answer.status_code in (200, 201), f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()["data"]

    def free(self, domain: str, client: str) -> None:
        """Release the domain from a client of an earlier test, since only one client can own it."""
        before = self._holders.pop(domain, client)
        if before != client:
            self.administer("DELETE", f"/clients/{before}/domains/{domain}")
        self._holders[domain] = client

    def reason(self, failure: Failure) -> str:
        """The reason for a rejection in the log, with the code of its response."""
        lines = self.server.output.read_text().splitlines()
        found = [json.loads(line) for line in lines if f'"request_id":"{failure.request_id}"' in line]
        [refusal] = [line for line in found if line["event"] == "refused"]
        assert refusal["code"] == failure.code
        return str(refusal["reason"])

    def client(self) -> Client:
        """A new, empty client."""
        identifier = f"customer-{next(_numbers)}"
        self.administer("POST", "/clients", {"identifier": identifier, "name": identifier})
        return Client(self, identifier)


@dataclass
class Client:
    """One client of the server."""

    service: Service
    identifier: str

    @property
    def entity(self) -> str:
        """Our entity ID for this client's SAML providers."""
        return f"{self.service.acs}/metadata?client={self.identifier}"

    def callback(self, provider: str) -> str:
        """The URL to which the client's OpenID provider of that name redirects the browser."""
        return f"{self.service.shared_callback}/{self.identifier}/{provider}"

    def metadata(self) -> str:
        """Our SAML metadata for this client."""
        answer = self.service.send("GET", f"{SAML}/metadata?client={self.identifier}")
        assert answer.status_code == 200, answer.text
        return answer.text

    def add(self, name: str = "company", **members: Any) -> dict[str, Any]:
        """Add a provider that creates accounts, and grants roles by :data:`GROUP_ROLES`, unless ``members`` say
        otherwise. Its domains are approved."""
        usual = {"createUsers": True, "groupRoles": GROUP_ROLES, "returnAddresses": [RETURN_TO], "vouch": True}
        for domain in members.get("domains", ()):
            self.service.free(domain, self.identifier)
        path = f"/clients/{self.identifier}/providers"
        made: dict[str, Any] = self.service.administer("POST", path, {"name": name, **usual, **members})
        return made

    def add_user(self, email: str, role: str = "Viewer") -> int:
        """Add a user; returns the ID."""
        body = {"email": email, "firstName": "Known", "lastName": "Before", "roles": [role]}
        made = self.service.administer("POST", f"/clients/{self.identifier}/users", body)
        return int(made["id"])

    def change(self, name: str = "company", **members: Any) -> None:
        """Change a provider; omitted members stay."""
        self.service.administer("PATCH", f"/clients/{self.identifier}/providers/{name}", members)

    def start(self, path: str, provider: str = "company", **query: str) -> Step:
        """Click "sign in" in the client's application."""
        asked = {"client": self.identifier, "provider": provider, "returnTo": RETURN_TO, **query}
        return Step("GET", f"{self.service.public}{path}?{urlencode(asked)}", initiator="https://app.customer.example")


def me(service: Service, browser: Browser) -> dict[str, Any]:
    """The user who is signed in to the browser."""
    shown = browser.take(Step("GET", f"{service.public}{AUTH}/me"))
    assert shown.status == 200, shown.text
    data: dict[str, Any] = json.loads(shown.text)["data"]
    return data


def arrived(came_to: Shown | Step) -> Step:
    """The step to the application, which completes the sign-in."""
    assert isinstance(came_to, Step), f"stopped at {came_to.url}: {came_to.status} {came_to.text[:1000]}"
    return came_to
