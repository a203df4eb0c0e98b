"""npm ``oidc-provider``: a certified OpenID provider in Node.js.

It requires PKCE, names itself in the redirect, returns name, email address, and groups only from the userinfo endpoint,
signs with the algorithm that the client is registered with, and creates new keys at each start.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.interop.browser import Browser, Shown, Step
from tests.interop.providers import install
from tests.interop.providers.people import PEOPLE, Person
from tests.interop.providers.provider import RealOidcProvider

HERE = Path(__file__).parent
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "RS512")
SECRET = "a secret: 100% of signs & that+oidc-provider/knows="


def installed() -> Path:
    """The folder of the packages."""
    return install.npm("oidc-provider", {"type": "module", "dependencies": {"oidc-provider": "9.13.3"}})


class OidcProvider(RealOidcProvider):
    """The provider with one client for each signing algorithm, which is also the client ID."""

    name = "oidc-provider"
    ready_path = "/.well-known/openid-configuration"

    def __init__(self, folder: Path, redirect_uris: list[str], *, claims_in_id_token: bool = False) -> None:
        super().__init__(folder)
        self.issuer = self.base
        self.claims_in_id_token = claims_in_id_token
        self._people = {person.login: person for person in PEOPLE}
        self._redirect_uris = list(redirect_uris)

    def command(self) -> list[str]:
        packages = installed()
        shutil.copy(HERE / "serve.mjs", packages)
        return [install.program("node", "install Node.js 18 or newer"), str(packages / "serve.mjs")]

    def environment(self) -> dict[str, str]:
        self._write()
        return {
            "PROVIDER_PORT": str(self.port),
            "PROVIDER_STATE": str(self._state),
            "PROVIDER_CLAIMS_IN_ID_TOKEN": "yes" if self.claims_in_id_token else "",
        }

    def put(self, person: Person) -> None:
        self._people[person.login] = person
        self._write()

    def register(self, redirect_uri: str) -> None:
        self._redirect_uris.append(redirect_uri)
        self._write()

    def rotate(self) -> None:
        self.stop()
        self.start()

    def answer(self, browser: Browser, shown: Shown, person: Person) -> Step:
        [form] = shown.page.forms
        return (
            shown.send(form, login=person.login, password=person.password) if form.of("password") else shown.send(form)
        )

    def deny(self, shown: Shown) -> Step:
        """Go back as the person, instead of signing in or consenting."""
        return shown.to(shown.page.link("Cancel"))

    @property
    def _state(self) -> Path:
        return self.folder / f"{self.name}-{self.port}.json"

    def _write(self) -> None:
        people = {
            person.login: {
                "name": f"{person.first_name} {person.last_name}",
                "given_name": person.first_name,
                "family_name": person.last_name,
                "email": person.email,
                "email_verified": True,
                "groups": list(person.groups),
            }
            for person in self._people.values()
        }
        clients = [{"id": algorithm, "secret": SECRET, "algorithm": algorithm} for algorithm in ALGORITHMS]
        state = {"people": people, "clients": clients, "redirectUris": self._redirect_uris}
        self._state.write_text(json.dumps(state))
