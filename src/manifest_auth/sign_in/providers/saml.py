"""SAML providers: their configuration, metadata and tests.

Requests and responses have their own modules.

Functions import ``protocols.saml`` only when they need it, because it loads libraries that few installations use.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from manifest_auth import providers
from manifest_auth.errors import ValidationError
from manifest_auth.protocols.oidc import Finding
from manifest_auth.providers import Provider, Secrets
from manifest_auth.providers.sign_in_flows import Flow
from manifest_auth.runtime.outgoing import Outgoing
from manifest_auth.runtime.outgoing_guard import Unreachable
from manifest_auth.services import RequestContext, Services
from manifest_auth.sign_in.browser_identity import BrowserCookies
from manifest_auth.sign_in.providers import saml_requests, saml_responses
from manifest_auth.sign_in.providers.kind import CertificateData, CookieOf, Kind, OurselvesData, SignInStart, optional
from manifest_auth.sign_in.providers.provider_flow import Outcome, ProviderChoice
from manifest_auth.sign_in.providers.saml_requests import START, Attributes, SamlSettings, acs, entity_id
from manifest_auth.sign_in.providers.saml_responses import ReceivedResponse
from manifest_auth.text.canonical import when
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import ErrorCollector

_SOON_MS, _URGENT_MS = 30 * 86_400_000, 7 * 86_400_000
_METADATA = Annotated[
    str, Meta(max_length=512 * 1024, description="The provider's metadata document (XML). Other members override it.")
]


class _Saml(Kind[SamlSettings, ReceivedResponse]):
    settings = SamlSettings
    start = START
    summary = "Sign in at a SAML provider: redirects to it, or posts to it"
    cross_site = True
    members: Mapping[str, Any] = {"attributes": optional(Attributes, "AttributesChange"), "metadata": _METADATA}

    def read(self, given: dict[str, Any]) -> dict[str, Any]:
        from manifest_auth.protocols import saml

        certificates = list(given.get("certificates", ()))
        text, found = given.pop("metadata", None), None
        with ErrorCollector() as each:
            for number, certificate in enumerate(certificates):
                with each, _refused_as(f"certificates[{number}]"):
                    certificates[number] = base64.b64encode(saml.read_certificate(certificate)).decode()
            if text is not None:
                with each, _refused_as("metadata"):
                    found = saml.read_metadata(text.encode())
        if certificates:
            given["certificates"] = certificates
        if found is None:
            return given
        imported: dict[str, Any] = {
            "entityId": found.entity_id,
            "certificates": [base64.b64encode(der).decode() for der in found.certificates],
            "redirectUrl": found.redirect_address or "",
            "postUrl": found.post_address or "",
            "binding": "redirect" if found.redirect_address else "post",
        }
        if found.wants_signed_requests:  # metadata can turn signing on, but never off
            imported["signRequests"] = True
        return imported | given

    def check_here(self, services: Services, own: SamlSettings) -> None:
        from manifest_auth.protocols import saml

        with ErrorCollector() as each:
            for name, address in own.addresses():
                with each, _refused_as(name):
                    saml.check_address(address)

    async def new_key(self, ctx: RequestContext, name: str) -> tuple[str, str]:
        """Runs in a thread, since it takes a fraction of a second."""
        from manifest_auth.protocols import saml

        key, certificate = await asyncio.to_thread(saml.make_key, name, ctx.now)
        return key.decode(), base64.b64encode(certificate).decode()

    def certificates(self, own: SamlSettings) -> tuple[CertificateData, ...]:
        from manifest_auth.protocols import saml

        found = [saml.certificate_facts(base64.b64decode(text)) for text in own.certificates]
        return tuple(
            CertificateData(fact.subject, when(fact.not_before), when(fact.not_after), fact.fingerprint)
            for fact in found
        )

    def values_by_name(self, ctx: RequestContext, client: str, name: str) -> OurselvesData:
        entity = entity_id(ctx, client)
        return OurselvesData(entity_id=entity, acs_url=acs(ctx), metadata_url=entity)

    def registration_values(
        self, ctx: RequestContext, client: str, provider: Provider, secrets: Secrets
    ) -> OurselvesData:
        by_name = self.values_by_name(ctx, client, provider.name)
        return msgspec.structs.replace(by_name, certificates=secrets.certificates)

    async def diagnose(
        self, ctx: RequestContext, client: str, provider: Provider, outgoing: Outgoing, *, is_quiet: bool = False
    ) -> AsyncIterator[Finding]:
        own = provider.own(SamlSettings)
        for finding in _certificates(ctx, own):
            yield finding
        yield await _sign_on(outgoing, provider.tenant_id, own)

    async def _begin(self, ctx: RequestContext, chosen: ProviderChoice, login_hint: str) -> SignInStart:
        return await saml_requests.begin_saml(ctx, chosen)

    async def _end(
        self, ctx: RequestContext, returned: ReceivedResponse, cookie_of: CookieOf, browser: BrowserCookies
    ) -> tuple[Flow | None, Outcome]:
        return await saml_responses.finish(ctx, returned, cookie_of, browser)


KIND = _Saml()


@contextlib.contextmanager
def _refused_as(member: str) -> Iterator[None]:
    """Turns the rejection of an administrator's input into a ValidationError that names the member."""
    from manifest_auth.protocols import saml

    try:
        yield
    except saml.SamlRefused as error:
        raise ValidationError(details=[(f"saml.{member}", error.args[0])]) from error


def metadata(ctx: RequestContext, client: str, found: list[Provider]) -> bytes:
    """Returns this server's SAML metadata for these providers of a client: one entity ID, one address, the certificates
    of all keys."""
    from manifest_auth.protocols import saml

    opened = [providers.open_secrets(ctx.services.sealer, provider) for provider in found]
    certificates = [base64.b64decode(text) for secrets in opened for text in secrets.certificates]
    signs = any(provider.own(SamlSettings).sign_requests for provider in found)
    return saml.sp_metadata(entity_id(ctx, client), acs(ctx), certificates, signs)


def _certificates(ctx: RequestContext, settings: SamlSettings) -> Iterator[Finding]:
    from manifest_auth.protocols import saml

    usable, last, accepts_expired = False, 0, settings.expired_certificates == "accept"
    for text in settings.certificates:
        fact = saml.certificate_facts(base64.b64decode(text))
        is_over, is_early, soon = fact.not_after <= ctx.now, fact.not_before > ctx.now, ctx.now + _SOON_MS
        of = {"name": f"{fact.subject} ({fact.fingerprint[:16]}…)", "end": when(fact.not_after)[:10]}
        usable = usable or (accepts_expired if is_over else not is_early)
        last = max(last, fact.not_after)
        if is_over and accepts_expired:
            told = _("Certificate %(name)s expired on %(end)s: still accepted, because of expiredCertificates", **of)
        elif is_over:
            told = _("Certificate %(name)s expired on %(end)s: signatures with it are rejected", **of)
        elif is_early:
            told = _("Certificate %(name)s isn't valid before %(day)s", **of, day=when(fact.not_before)[:10])
        elif fact.not_after < soon:
            told = _("Certificate %(name)s expires on %(end)s. Pin its successor now, in addition to it", **of)
        else:
            told = _("Certificate %(name)s is valid until %(end)s", **of)
        yield Finding("note" if is_early or fact.not_after < soon else "ok", told)
    if not usable:
        yield Finding("bad", _("No pinned certificate is valid today, so every response is rejected"))
    elif not accepts_expired and last < ctx.now + _URGENT_MS:
        end = when(last)[:10]
        yield Finding("bad", _("No pinned certificate is valid after %(end)s. Pin its successor now", end=end))


async def _sign_on(outgoing: Outgoing, tenant_id: int, settings: SamlSettings) -> Finding:
    address = settings.post_url if settings.binding == "post" else settings.redirect_url
    try:
        reply = await outgoing.get(address, deadline=outgoing.deadline(tenant_id), call="other")
    except Unreachable as error:
        if "redirect" in str(error):  # a sign-on page might redirect
            return Finding("ok", _("The sign-on URL responds; users' browsers must be able to reach it"))
        told = _(
            "This server can't reach the sign-on URL (%(error)s); users' browsers must be able to reach it",
            error=error.args[0],
        )
        return Finding("note", told)
    if reply.status in (404, 410):
        told = _("The sign-on URL returns status %(status)s. Check whether it is correct", status=reply.status)
        return Finding("note", told)
    told = _("The sign-on URL returns status %(status)s", status=reply.status)  # it can require more
    return Finding("ok" if reply.status < 500 else "note", told)
