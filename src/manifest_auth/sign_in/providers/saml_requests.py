"""Settings of SAML providers, this server's addresses for them, and its requests to them."""

from __future__ import annotations

import base64
from typing import Annotated, ClassVar, Literal, Self

import msgspec
from msgspec import Meta

from manifest_auth import providers, tenants
from manifest_auth.errors import Conflict, Reason, SsoFailed, ValidationError
from manifest_auth.providers import KindSettings, Provider, sign_in_flows
from manifest_auth.providers.sign_in_flows import Flow
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import provider_flow, provider_proofs
from manifest_auth.sign_in.providers.kind import CookieOf, SignInStart
from manifest_auth.sign_in.providers.provider_flow import ProviderChoice
from manifest_auth.store import SystemUnit
from manifest_auth.text.canonical import check_web_address
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import ErrorCollector

START = "/api/client/auth/okta-saml"
_NO_REQUEST = Reason(
    "no pending request from this browser",
    cause="The page that posts the server's request was opened in another browser, too late, or for a provider "
    "with another binding",
    cure="Start again",
)
_NO_POST = _NO_REQUEST.also("the provider doesn't accept posted requests")

Name = Annotated[str, Meta(max_length=256)]


class Attributes(msgspec.Struct, frozen=True, rename="camel"):
    """Names of SAML attributes. If one is empty, the usual names are tried."""

    email: Name = ""
    first_name: Name = ""
    last_name: Name = ""
    groups: Name = ""
    subject: Annotated[Name, Meta(description="Identifies the user instead of NameID.")] = ""


class SamlSettings(KindSettings, frozen=True, rename="camel"):
    """A SAML identity provider and its pinned certificates."""

    kind: ClassVar[str] = "saml"
    unique: ClassVar[str] = _("entity ID")

    entity_id: Annotated[str, Meta(min_length=1, max_length=1024)]
    certificates: Annotated[
        tuple[str, ...],
        Meta(min_length=1, max_length=10, description="Signing certificates, base64. Any of them can have signed."),
    ]
    redirect_url: Annotated[str, Meta(max_length=2000, description="Sign-on URL, HTTP-Redirect binding.")] = ""
    post_url: Annotated[str, Meta(max_length=2000, description="Sign-on URL, HTTP-POST binding.")] = ""
    binding: Annotated[Literal["redirect", "post"], Meta(description="How requests are sent.")] = "redirect"
    sign_requests: bool = False
    allow_idp_initiated: Annotated[bool, Meta(description="Accepts responses without a request from this server.")] = (
        True
    )
    expired_certificates: Annotated[
        Literal["refuse", "accept"], Meta(description="Whether a pinned certificate is accepted after it expires.")
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
                    raise ValidationError(details=[(f"saml.{needed}", _("Required for this binding"))])

    def check_change(self, before: Self) -> None:
        if before.entity_id != self.entity_id:
            raise ValidationError(
                details=[("saml.entityId", _("This belongs to a different provider. Create a new provider for it"))]
            )


def entity_id(ctx: RequestContext, client: str) -> str:
    """Returns this server's entity ID for the providers of a client: the address of its metadata."""
    return f"{ctx.services.settings.public_url.rstrip('/')}{START}/metadata?client={client}"


def acs(ctx: RequestContext, client: str = "") -> str:
    """Returns this server's assertion consumer service address. ``client`` is appended for a provider that encrypts, so
    that its unsolicited responses name the client."""
    return ctx.services.settings.public_url.rstrip("/") + START + (f"?client={client}" if client else "")


# A posted request has a page with its own address, which only the browser that started the sign-in can open, because
# the response to a POST can name an address, but cannot carry a page.

FORM = f"{START}/form"


async def begin_saml(ctx: RequestContext, chosen: ProviderChoice) -> SignInStart:
    """Returns the address to go to, with a page that posts the request for the POST binding. Raises RateLimited, and
    Conflict for linking an identity at a provider without a redirect address."""
    own, is_link = chosen.provider.own(SamlSettings), chosen.request.is_link
    if is_link and not own.redirect_url:
        raise Conflict(_("Linking requires the provider's redirect binding"))
    started = await provider_flow.begin(ctx, chosen, None)
    client, request_id, state = chosen.tenant.identifier, started.request_id, started.state
    force = provider_proofs.asks_anew(chosen.request)
    if own.binding != "post" or is_link:
        from manifest_auth.protocols import saml

        request, key, _url = _request(ctx, chosen.provider, client, request_id, own.redirect_url, force=force)
        return SignInStart(started, saml.redirect_address(own.redirect_url, request, state, key))
    form = f"{ctx.services.settings.public_url.rstrip('/')}{FORM}?state={state}"
    return SignInStart(started, form, _page(ctx, chosen.provider, client, request_id, state, force=force))


async def page_of(ctx: RequestContext, state: str, cookie_of: CookieOf) -> tuple[bytes, str]:
    """Returns the page that posts the request, and its content security policy. Raises SsoFailed for a flow of another
    browser, or one that needs no page."""

    def work(unit: SystemUnit) -> tuple[Flow, Provider, str]:
        flow = sign_in_flows.find_by_state(unit, state, ctx.now)
        if flow is None or not flow.is_from(cookie_of(flow.cookie)):
            raise SsoFailed(reason=_NO_REQUEST)
        provider = providers.get_by_id(unit.of(flow.tenant_id), flow.provider_id)
        return flow, provider, tenants.get(unit, flow.tenant_id).identifier

    flow, provider, client = await ctx.services.store.read(work)
    if flow.request_id is None or not provider.own(SamlSettings).post_url:
        raise SsoFailed(reason=_NO_POST)
    return _page(ctx, provider, client, flow.request_id, state, force=provider_proofs.asks_anew(flow))


def _page(
    ctx: RequestContext, provider: Provider, client: str, request_id: str, state: str, *, force: bool
) -> tuple[bytes, str]:
    from manifest_auth.protocols import saml

    destination = provider.own(SamlSettings).post_url
    request, key, certificate = _request(ctx, provider, client, request_id, destination, force=force)
    return saml.post_page(destination, request, state, key, certificate)


def _request(
    ctx: RequestContext, provider: Provider, client: str, request_id: str, destination: str, *, force: bool
) -> tuple[bytes, bytes | None, bytes | None]:
    """Returns the request, and this server's key and certificate if requests are signed. ``force``: the person must
    authenticate again."""
    from manifest_auth.protocols import saml

    contexts = provider_proofs.contexts_of(provider.rules)
    request = saml.authn_request(request_id, ctx.now, destination, entity_id(ctx, client), acs(ctx), force, contexts)
    if not provider.own(SamlSettings).sign_requests:
        return request, None, None
    secrets = providers.open_secrets(ctx.services.sealer, provider)
    return request, secrets.keys[0].encode(), base64.b64decode(secrets.certificates[0])
