"""PyPI ``djangosaml2idp2``, an identity provider on Django and pysaml2 that signs with the program ``xmlsec1``.

It reads our metadata, has a real sign-in page and sessions, checks the signatures of requests, uses its own prefixes
(``ns0:``, ``ns1:``), and hides the origin of its forms through the Referrer-Policy of its pages.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.interop import http_client
from tests.interop.browser import Browser, Shown, Step
from tests.interop.providers import certificates, install
from tests.interop.providers.people import PEOPLE, Person
from tests.interop.providers.provider import RealSamlProvider

HERE = Path(__file__).parent
_SIGNING = "http://www.w3.org/2001/04/xmldsig-more#"
_DIGESTS = "http://www.w3.org/2001/04/xmlenc#"


def installed() -> tuple[Path, Path]:
    """The Python of the site, and the root of the unpacked ``xmlsec1``."""
    return install.environment("djangosaml2idp", HERE / "requirements.txt"), install.debian("xmlsec1", "xmlsec1")


class DjangoSaml2Idp(RealSamlProvider):
    """The site. With ``wants_signed_requests``, it rejects requests without a valid signature."""

    name = "djangosaml2idp"
    ready_path = "/idp/metadata/"

    def __init__(self, folder: Path, *, wants_signed_requests: bool = False) -> None:
        super().__init__(folder)
        self.entity_id = f"{self.base}/idp/metadata/"
        self.key, self.certificate = certificates.make(folder, self.name)
        self._wants_signed_requests = wants_signed_requests

    def command(self) -> list[str]:
        python, root = installed()
        # The package calls its program by name only, and its libraries are in the unpacked folder.
        program = self.folder / "xmlsec1"
        program.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={install.libraries(root)} exec {root}/usr/bin/xmlsec1 "$@"\n')
        program.chmod(0o755)
        return [str(python), str(HERE / "site/idp_serve.py")]

    def environment(self) -> dict[str, str]:
        return {
            "DJANGO_SETTINGS_MODULE": "idp_settings",
            "PROVIDER_STATE": str(self.folder),
            "PROVIDER_PORT": str(self.port),
            "PROVIDER_XMLSEC": str(self.folder / "xmlsec1"),
            "PROVIDER_KEY": str(self.key),
            "PROVIDER_CERTIFICATE": str(self.certificate),
            "PROVIDER_WANTS_SIGNED_REQUESTS": "yes" if self._wants_signed_requests else "",
        }

    def start(self) -> None:
        super().start()
        for person in PEOPLE:
            self.put(person)

    def put(self, person: Person) -> None:
        self._tell("person", asdict(person))

    def serve(
        self,
        entity: str,
        metadata: str,
        *,
        sign_response: bool = True,
        sign_assertion: bool = True,
        encrypt: bool = False,
        algorithm: str = "sha256",
    ) -> None:
        """Register a service provider by its metadata. ``algorithm`` applies to digests, and to RSA signatures."""
        given = {
            "entity": entity,
            "metadata": metadata,
            "_sign_response": sign_response,
            "_sign_assertion": sign_assertion,
            "_encrypt_saml_responses": encrypt,
            "_signing_algorithm": f"{_SIGNING}rsa-{algorithm}",
            "_digest_algorithm": f"{_DIGESTS}{algorithm}",
        }
        self._tell("service-provider", given)

    def idp_initiated(self, entity: str, **parameters: str) -> Step:
        """Click a service provider's tile."""
        return Step("GET", f"{self.base}/idp/sso/init/?{urlencode({'sp': entity, **parameters})}")

    def answer(self, browser: Browser, shown: Shown, person: Person) -> Step:
        [form] = shown.page.forms
        return shown.send(form, username=person.login, password=person.password)

    def _tell(self, what: str, given: dict[str, Any]) -> None:
        answer = http_client.send("POST", f"{self.base}/operator/{what}", json=given)
        assert answer.status_code == 204, f"{self.name}: {what}: {answer.status_code} {answer.text[:2000]}"
