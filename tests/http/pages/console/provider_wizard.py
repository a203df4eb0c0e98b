"""A manager who sets up and tests a provider only through the console's pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.application import App, Reply
from tests.support.oidc_op import Op
from tests.support.saml_idp import Idp
from tests.support.single_sign_on import authn_request
from tests.support.visitor import Page, Visitor

LIST = "/console/providers"
NEW = f"{LIST}/new"


def metadata_of(idp: Idp, address: str = "https://idp.example/sso") -> str:
    """A SAML provider's published metadata."""
    certificate = "".join(idp.certificate_pem.splitlines()[1:-1])
    return (
        f'<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{idp.issuer}">'
        '<IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">'
        '<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>'
        f"{certificate}</X509Certificate></X509Data></KeyInfo></KeyDescriptor>"
        '<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" '
        f'Location="{address}"/></IDPSSODescriptor></EntityDescriptor>'
    )


@dataclass
class Wizard:
    """A wizard for one provider; ``name`` is the provider's."""

    visitor: Visitor
    name: str

    @property
    def path(self) -> str:
        return f"{LIST}/{self.name}"

    async def step(self, step: str = "") -> Page:
        page = await self.visitor.get(f"{self.path}?step={step}")
        assert page.status == 200, page.reply.text
        return page

    async def make(self, preset: str, **typed: str) -> Page:
        """Submit the first step. ``typed`` uses the fields' names, with ``__`` instead of a dot."""
        page = await self.visitor.get(f"{NEW}?preset={preset}&name={self.name}")
        assert page.status == 200, page.reply.text
        return await self.visitor.submit(page, NEW, None, **_fields(typed))

    async def make_oidc(self, op: Op, preset: str = "oidc", **typed: str) -> Page:
        given = {
            "oidc__issuer": op.issuer,
            "oidc__clientId": op.client_id,
            "oidc__clientSecret": op.client_secret or "",
        }
        page = await self.make(preset, **{**given, **typed})
        assert page.status == 303, page.problems
        return page

    async def save(self, step: str, **typed: str) -> Page:
        page = await self.step(step)
        return await self.visitor.submit(page, f"{self.path}/{step}", None, **_fields(typed))

    async def act(self, act: str, page: Page, **typed: str) -> Page:
        """Submit the form of a page's button, such as ``switch-on`` or ``test``."""
        return await self.visitor.submit(page, f"{self.path}/{act}", None, **typed)

    async def findings(self) -> list[tuple[str, str]]:
        """The result of the test, as levels and messages."""
        page = await self.act("test", await self.step("live"))
        assert page.status == 200, page.reply.text
        items = page.tree.xpath("//ul[@class='findings']/li")
        return [(str(item.get("class")).removeprefix("finding-"), " ".join(item.xpath("string(span[2])").split()))
                for item in items]  # fmt: skip

    async def begin(self) -> str:
        """The URL of the test sign-in's link; keeps its cookie."""
        page = await self.visitor.get(f"{self.path}/try", Sec_Fetch_Site="same-origin")
        assert page.status == 302, page.reply.text
        self.visitor.cookies |= flow_cookies(page.reply)
        return page.location

    async def come_back(self, address: str) -> Page:
        """Return to an OpenID provider's callback; returns the page after it."""
        return await self.visitor.follow(await self.visitor.get(address.removeprefix(self._origin)))

    async def try_oidc(self, op: Op) -> Page:
        return await self.come_back(op.visit(await self.begin()))

    async def try_saml(self, idp: Idp, **members: Any) -> Page:
        """Post the response like the provider's page, without the session cookie, which browsers don't send there."""
        request = authn_request(await self.begin())
        origin = self._origin
        acs = f"{origin}/api/client/auth/okta-saml"
        audience = f"{acs}/metadata?client=acme"
        members.setdefault("now_ms", self.visitor.app.clock.now_ms())
        response = idp.response(audience, acs, in_response_to=request.get("ID"), **members)
        kept = self.visitor.cookies
        self.visitor.cookies = {name: value for name, value in kept.items() if name.startswith("sso-")}
        answer = await self.visitor.post(
            "/api/client/auth/okta-saml", {"SAMLResponse": response}, Origin="https://idp.example",
            Sec_Fetch_Site="cross-site",
        )  # fmt: skip
        self.visitor.cookies = kept
        return await self.visitor.follow(answer)

    @property
    def _origin(self) -> str:
        return self.visitor.app.public_url.rstrip("/")


def groups(**roles: str) -> dict[str, str]:
    """The table rows that map groups to these roles, which are separated by commas."""
    typed: dict[str, str] = {}
    for number, (group, names) in enumerate(roles.items()):
        boxes = {f"group{number}.{name.replace(' ', '-')}": "on" for name in names.split(", ")}
        typed |= {f"group{number}": group, **boxes}
    return typed


def _fields(typed: dict[str, str]) -> dict[str, str]:
    return {name.replace("__", "."): text for name, text in typed.items()}


def flow_cookies(reply: Reply) -> dict[str, str]:
    """The cookies that a response sets for a sign-in in progress."""
    lines = [line.partition(";")[0].partition("=") for line in reply.headers.get_list("set-cookie")]
    return {name: value for name, _, value in lines if name.startswith("sso-")}


async def wizard(app: App, name: str, email: str = "admin@acme.example") -> Wizard:
    """A signed-in manager who sets up a provider."""
    return Wizard(await Visitor(app).signed_in(email), name)


def facts(page: Page) -> dict[str, str]:
    """The facts in a page's lists."""
    return {_text(pair.find("dt")): _text(pair.find("dd")) for pair in page.tree.xpath("//dl/div")}


def _text(element: Any) -> str:
    return " ".join(element.text_content().split())
