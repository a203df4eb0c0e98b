"""Settings of a SAML provider, and this server's addresses for such providers."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import msgspec
from msgspec import Meta

from manifest_auth.errors import ValidationError
from manifest_auth.providers import KindSettings
from manifest_auth.services import RequestContext
from manifest_auth.text.canonical import check_web_address
from manifest_auth.text.models import ErrorCollector

START = "/api/client/auth/okta-saml"

Name = Annotated[str, Meta(max_length=256)]


class Attributes(msgspec.Struct, frozen=True, rename="camel"):
    """Names of SAML attributes. Empty: the usual ones are tried."""

    email: Name = ""
    first_name: Name = ""
    last_name: Name = ""
    groups: Name = ""
    subject: Annotated[str, Meta(max_length=256, description="Identifies the person in place of NameID.")] = ""


class SamlSettings(KindSettings, frozen=True, rename="camel"):
    """A SAML identity provider and its pinned certificates."""

    kind: ClassVar[str] = "saml"
    unique: ClassVar[str] = "entity id"

    entity_id: Annotated[str, Meta(min_length=1, max_length=1024)]
    certificates: Annotated[
        tuple[str, ...],
        Meta(min_length=1, max_length=10, description="Signing certificates, base64; any of them may have signed."),
    ]
    redirect_url: Annotated[str, Meta(max_length=2000, description="Sign-on address, HTTP-Redirect binding.")] = ""
    post_url: Annotated[str, Meta(max_length=2000, description="Sign-on address, HTTP-POST binding.")] = ""
    binding: Annotated[Literal["redirect", "post"], Meta(description="How requests are sent.")] = "redirect"
    sign_requests: bool = False
    allow_idp_initiated: Annotated[
        bool, Meta(description="Responses without a request of this server are accepted.")
    ] = True
    expired_certificates: Annotated[
        Literal["refuse", "accept"], Meta(description="Whether a pinned certificate counts past its end.")
    ] = "refuse"
    attributes: Attributes = Attributes()

    @property
    def identifier(self) -> str:
        return self.entity_id

    def addresses(self) -> list[tuple[str, str]]:
        """Names and addresses of the configured bindings."""
        both = (("redirectUrl", self.redirect_url), ("postUrl", self.post_url))
        return [(name, address) for name, address in both if address]

    def check(self) -> None:
        with ErrorCollector() as each:
            for name, address in self.addresses():
                with each:
                    check_web_address(address, f"saml.{name}")
            needed = "postUrl" if self.binding == "post" else "redirectUrl"
            with each:
                if not (self.post_url if self.binding == "post" else self.redirect_url):
                    raise ValidationError(details=[(f"saml.{needed}", "Needed for this binding")])

    def check_change(self, before: Self) -> None:
        if before.entity_id != self.entity_id:
            raise ValidationError(details=[("saml.entityId", "Another provider's: make a new provider for it")])


def entity_id(ctx: RequestContext, client: str) -> str:
    """This server's entity id for the providers of a client: the address of its metadata."""
    return f"{ctx.services.settings.public_url.rstrip('/')}{START}/metadata?client={client}"


def acs(ctx: RequestContext, client: str = "") -> str:
    """This server's assertion consumer service address. ``client``: appended for a provider that encrypts, so that its
    unsolicited responses name the client."""
    return ctx.services.settings.public_url.rstrip("/") + START + (f"?client={client}" if client else "")
