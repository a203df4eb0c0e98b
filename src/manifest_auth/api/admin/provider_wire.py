"""Between the wire and what is stored of a provider: merging a change, reading certificates and metadata, showing."""

from __future__ import annotations

import asyncio
import base64
from typing import Any, NamedTuple

import msgspec

from manifest_auth import providers
from manifest_auth.errors import ValidationError
from manifest_auth.http import convert
from manifest_auth.providers import DynamicsSettings, EntraSettings, Provider, Secrets, Settings
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import dynamics, oidc
from manifest_auth.sign_in.providers import saml as saml_sign_in
from manifest_auth.text.canonical import when

_WITH_SECRET = frozenset({"oidc", "dynamics", "entra"})
_STARTS = {"oidc": "/api/client/auth/oidc", "saml": saml_sign_in.PATH, "dynamics": dynamics.PATH}


class Draft(NamedTuple):
    """What a body gives: members to merge in, whether a client secret was among them, and whether what the provider
    claims is vouched for."""

    members: dict[str, Any]
    has_secret: bool
    secret: str | None
    vouch: bool

    @property
    def is_about_people(self) -> bool:
        """Whether it gives what decides who people are, or nothing at all, which confirms what is there: a new display
        name or client secret alone says nothing of the rest."""
        settles = any(value != {} for name, value in self.members.items() if name not in ("name", "displayName"))
        return settles or not (self.members or self.has_secret)


def draft_of(body: msgspec.Struct) -> Draft:
    """Reads certificates and metadata. Raises ValidationError."""
    members: dict[str, Any] = msgspec.to_builtins(body)
    vouch = members.pop("vouch", False)
    secret, has_secret = None, False
    for kind in _WITH_SECRET & members.keys():
        has_secret = has_secret or "clientSecret" in members[kind]
        secret = members[kind].pop("clientSecret", secret)
    if "saml" in members:
        members["saml"] = _saml_members(members["saml"])
    return Draft(members, has_secret, secret, vouch)


def _saml_members(given: dict[str, Any]) -> dict[str, Any]:
    from manifest_auth.protocols import saml  # loaded with the first SAML provider

    if "certificates" in given:
        given["certificates"] = [_certificate(text, n) for n, text in enumerate(given["certificates"])]
    text = given.pop("metadata", None)
    if text is None:
        return given
    try:
        found = saml.read_metadata(text.encode())
    except saml.Refused as error:
        raise ValidationError(details=[("saml.metadata", str(error)[:300])]) from error
    imported: dict[str, Any] = {
        "entityId": found.entity_id,
        "certificates": [base64.b64encode(der).decode() for der in found.certificates],
        "redirectUrl": found.redirect_address or "",
        "postUrl": found.post_address or "",
        "binding": "redirect" if found.redirect_address else "post",
    }
    if found.wants_signed_requests:  # a document can ask for more, never for less
        imported["signRequests"] = True
    return imported | given


def _certificate(text: str, number: int) -> str:
    from manifest_auth.protocols import saml

    try:
        return base64.b64encode(saml.read_certificate(text)).decode()
    except saml.Refused as error:
        raise ValidationError(details=[(f"saml.certificates[{number}]", str(error)[:300])]) from error


def merged(before: Settings | None, draft: Draft) -> Settings:
    """The settings with what the draft gives. Raises ValidationError."""
    members = {k: v for k, v in draft.members.items() if k not in ("name", "displayName")}
    kept: dict[str, Any] = msgspec.to_builtins(before) if before is not None else {}
    imported = (draft.members.get("saml") or {}).get("entityId")
    if before is not None and before.saml is not None and imported not in (None, before.saml.entity_id):
        raise ValidationError(details=[("saml.entityId", "Another provider's: make a new provider for it")])
    settings = convert(_merge(kept, members), Settings)
    providers.check(settings)
    return settings


def _merge(kept: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    both = dict(kept)
    for name, value in given.items():
        before = both.get(name)
        both[name] = _merge(before, value) if isinstance(value, dict) and isinstance(before, dict) else value
    return both


def check_addresses(ctx: RequestContext, settings: Settings) -> None:
    """Refuses addresses that this installation never calls, or sends no browser to. Raises ValidationError."""
    if settings.oidc is not None:
        try:
            ctx.services.outgoing.check(settings.oidc.issuer)
        except ValueError as error:
            raise ValidationError(details=[("oidc.issuer", f"The address {error}")]) from error
    for kind, found in (("dynamics", settings.dynamics), ("entra", settings.entra)):
        if found is not None:
            _check_cloud(ctx, kind, found)
    if settings.saml is not None:
        from manifest_auth.protocols import saml

        for name, address in (("redirectUrl", settings.saml.redirect_url), ("postUrl", settings.saml.post_url)):
            try:
                if address:
                    saml.check_address(address)
            except saml.Refused as error:
                raise ValidationError(details=[(f"saml.{name}", str(error)[:300])]) from error


def _check_cloud(ctx: RequestContext, kind: str, settings: DynamicsSettings | EntraSettings) -> None:
    try:
        cloud = ctx.services.microsoft.clouds.get(settings.cloud)
    except ValueError as error:
        raise ValidationError(details=[(f"{kind}.cloud", "This installation has no such cloud")]) from error
    if isinstance(settings, DynamicsSettings) and not cloud.is_organization(settings.organization):
        sentence = (
            "Must be the address of an environment in the provider's cloud, like https://contoso.crm.dynamics.com"
        )
        raise ValidationError(details=[("dynamics.organization", sentence)])


def asks_elsewhere(before: Settings, after: Settings) -> bool:
    """Whether the client secret would be shown to somebody else: another issuer, or another cloud's."""
    clouds = [found.cloud if (found := rules.dynamics or rules.entra) else "" for rules in (before, after)]
    return before.issuer != after.issuer or clouds[0] != clouds[1]


async def new_key(ctx: RequestContext, name: str) -> tuple[str, str]:
    """A key pair of our own for a SAML provider: PEM and base64. Made in a thread: it takes a fraction of a second."""
    from manifest_auth.protocols import saml

    key, certificate = await asyncio.to_thread(saml.make_key, name, ctx.now)
    return key.decode(), base64.b64encode(certificate).decode()


def wire(ctx: RequestContext, client: str, provider: Provider) -> dict[str, Any]:
    """The provider as JSON, without secrets."""
    settings, secrets = provider.rules, providers.open_secrets(ctx.services.sealer, provider)
    base = ctx.services.settings.public_url.rstrip("/")
    path = _STARTS.get(provider.kind)  # a token's bearer starts nowhere
    start = {"startUrl": f"{base}{path}?client={client}&provider={provider.name}"} if path else {}
    return {
        "id": provider.id,
        "name": provider.name,
        "displayName": provider.display_name,
        "kind": provider.kind,
        "enabled": provider.disabled_at is None,
        "reachesAdmins": bool(provider.reaches_admins),
        **msgspec.to_builtins(settings),
        "hasClientSecret": secrets.client_secret is not None,
        "signingCertificates": _facts(settings),
        "serviceProvider": _ourselves(ctx, client, provider, secrets),
        **start,
        "createdAt": when(provider.created_at),
        "changedAt": when(provider.changed_at),
    }


def _ourselves(ctx: RequestContext, client: str, provider: Provider, secrets: Secrets) -> dict[str, Any]:
    if provider.kind == "oidc":
        addresses = oidc.callbacks_of(ctx, client, provider)
        shared = {"sharedCallbackUrl": addresses.shared} if addresses.shared is not None else {}
        return {"callbackUrl": addresses.own, **shared}
    if provider.kind == "dynamics":
        return {"callbackUrl": dynamics.callback_of(ctx)}
    if provider.kind == "entra":
        return {}
    entity = saml_sign_in.entity_id(ctx, client)
    return {
        "entityId": entity,
        "acsUrl": saml_sign_in.acs(ctx),
        "metadataUrl": entity,
        "certificates": list(secrets.certificates),
    }


def _facts(settings: Settings) -> list[dict[str, str]]:
    if settings.saml is None:
        return []
    from manifest_auth.protocols import saml

    found = [saml.certificate_facts(base64.b64decode(text)) for text in settings.saml.certificates]
    return [
        {
            "subject": fact.subject,
            "notBefore": when(fact.not_before),
            "notAfter": when(fact.not_after),
            "fingerprint": fact.fingerprint,
        }
        for fact in found
    ]
