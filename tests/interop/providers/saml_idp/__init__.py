"""npm ``saml-idp``, a test identity provider based on Auth0's libraries, with responses similar to Okta's.

Response and assertion are both signed, attribute names and NameID are the same as Okta's, and times have milliseconds.
Its sign-in page asks for everything that it will assert, but not for a password. Its settings page changes later
responses.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.interop import http_client
from tests.interop.browser import Browser, Shown, Step
from tests.interop.providers import certificates, install
from tests.interop.providers.people import Person
from tests.interop.providers.provider import RealSamlProvider

HERE = Path(__file__).parent
#: The package pins ``samlp`` to the URL of a source repository.
_PINS = {"dependencies": {"saml-idp": "1.2.1"}, "overrides": {"saml-idp": {"samlp": "7.0.2"}}}


def installed() -> Path:
    """The folder of the packages."""
    return install.npm("saml-idp", _PINS)


class SamlIdp(RealSamlProvider):
    """The provider, for one service provider at a time."""

    name = "saml-idp"
    ready_path = "/metadata"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.entity_id = f"{self.base}/metadata"
        self.key, self.certificate = certificates.make(folder, self.name)

    def serve(self, entity: str, acs: str, *, encrypt_for: str = "") -> None:
        """Configure it for a service provider, as if new. ``encrypt_for`` is a PEM certificate, or empty for no
        encryption."""
        public = ""
        if encrypt_for:
            key = x509.load_pem_x509_certificate(encrypt_for.encode()).public_key()
            pem, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            public = key.public_bytes(pem, form).decode()
        self.set(
            audience=entity,
            serviceProviderId=entity,
            acsUrl=acs,
            recipient=acs,
            destination=acs,
            issuer=self.entity_id,
            signResponse="true",
            lifetimeInSeconds="3600",
            signatureAlgorithm="rsa-sha256",
            digestAlgorithm="sha256",
            encryptAssertion="true" if encrypt_for else "false",
            encryptionCert=encrypt_for,
            encryptionPublicKey=public,
        )

    def metadata(self) -> str:
        self.set(issuer=self.entity_id)  # an earlier test might have changed it
        return super().metadata()

    def set(self, **settings: str) -> None:
        """Fill in its settings page: ``audience``, ``issuer``, ``lifetimeInSeconds``, ``signatureAlgorithm``, …"""
        answer = http_client.send("POST", f"{self.base}/settings", data=settings)
        assert answer.status_code == 302, answer.text

    def idp_initiated(self) -> Step:
        """Click the service provider's tile."""
        return Step("GET", f"{self.base}/idp")

    def command(self) -> list[str]:
        packages = installed()
        shutil.copy(HERE / "form.js", packages)
        run = [
            install.program("node", "install Node.js 18 or newer"),
            str(packages / "node_modules/saml-idp/bin/run.js"),
        ]
        run += ["--host", "127.0.0.1", "--port", str(self.port), "--conf", str(packages / "form.js")]
        run += ["--cert", str(self.certificate), "--key", str(self.key), "--issuer", self.entity_id]
        return [*run, "--acs", "http://127.0.0.1:9/", "--aud", "urn:none"]

    def put(self, person: Person) -> None:
        """Do nothing, because it has no accounts: its form asks for everything each time."""

    def answer(self, browser: Browser, shown: Shown, person: Person) -> Step:
        [form] = [form for form in shown.page.forms if "userName" in form.fields]
        return shown.send(
            form,
            userName=person.email,
            nameIdFormat="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
            firstName=person.first_name,
            lastName=person.last_name,
            email=person.email,
            groups=",".join(person.groups),
        )
