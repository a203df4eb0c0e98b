"""What a tenant settles for one of its providers: the stored form, which is the wire's form too, and its rules."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from manifest_auth.errors import Forbidden, ValidationError
from manifest_auth.permissions import Role
from manifest_auth.text.canonical import check_return_address, check_web_address
from manifest_auth.text.hosts import DOMAIN

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
KINDS = ("oidc", "saml", "dynamics", "entra")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}\Z")

_PROVIDER_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?\Z")

Address = Annotated[str, Meta(min_length=1, max_length=2000)]
Word = Annotated[str, Meta(min_length=1, max_length=256)]
Name = Annotated[str, Meta(max_length=256)]


class GroupRoles(msgspec.Struct, frozen=True):
    """One line of the table from the provider's groups to roles."""

    group: Annotated[str, Meta(min_length=1, max_length=512, description="As the provider writes it, exactly.")]
    roles: Annotated[tuple[Role, ...], Meta(min_length=1, max_length=7)]


Audiences = Annotated[
    tuple[Word, ...],
    Meta(max_length=20, description="Audiences besides `clientId` that its ID tokens may name (`aud`)."),
]


class OidcSettings(msgspec.Struct, frozen=True, rename="camel"):
    """An OpenID provider and how this server is known there."""

    issuer: Annotated[str, Meta(min_length=1, max_length=500, description="Exactly as in its discovery document.")]
    client_id: Annotated[str, Meta(min_length=1, max_length=500)]
    scopes: Annotated[tuple[str, ...], Meta(max_length=30)] = ("openid", "profile", "email")
    client_authentication: Annotated[
        Literal["auto", "basic", "post", "none"],
        Meta(description="How the client secret is sent; `auto`: as the provider says."),
    ] = "auto"
    group_claim: Annotated[str, Meta(max_length=256, description="Claim that holds the groups.")] = "groups"
    trust_email: Annotated[
        bool,
        Meta(description="An address of `domains` counts as verified though `email_verified` is not sent at all."),
    ] = False
    audiences: Audiences = ()
    shared_callback: Annotated[
        bool,
        Meta(
            description="The shared callback address is used while the provider announces `iss` (RFC 9207). Only an "
            "Admin or a system admin sets it; new providers need it not."
        ),
    ] = False


class Attributes(msgspec.Struct, frozen=True, rename="camel"):
    """Names of SAML attributes. Empty: the usual ones are tried."""

    email: Name = ""
    first_name: Name = ""
    last_name: Name = ""
    groups: Name = ""
    subject: Annotated[str, Meta(max_length=256, description="Identifies the person in place of NameID.")] = ""


class SamlSettings(msgspec.Struct, frozen=True, rename="camel"):
    """A SAML identity provider and what is pinned of it."""

    entity_id: Annotated[str, Meta(min_length=1, max_length=1024)]
    certificates: Annotated[
        tuple[str, ...],
        Meta(min_length=1, max_length=10, description="Signing certificates, base64; any of them may have signed."),
    ]
    redirect_url: Annotated[str, Meta(max_length=2000, description="Sign-on address, HTTP-Redirect binding.")] = ""
    post_url: Annotated[str, Meta(max_length=2000, description="Sign-on address, HTTP-POST binding.")] = ""
    binding: Annotated[Literal["redirect", "post"], Meta(description="How requests are sent.")] = "redirect"
    sign_requests: bool = False
    allow_idp_initiated: Annotated[bool, Meta(description="Responses that nobody asked for are accepted.")] = True
    expired_certificates: Annotated[
        Literal["refuse", "accept"], Meta(description="Whether a pinned certificate counts past its end.")
    ] = "refuse"
    attributes: Attributes = Attributes()


Directory = Annotated[str, Meta(min_length=36, max_length=36, description="Directory (tenant) id, a GUID.")]
Guid = Annotated[str, Meta(min_length=36, max_length=36)]
CloudName = Annotated[
    Literal["", "global", "us-gov", "us-dod", "china", "custom"],
    Meta(description="Microsoft cloud; empty: the installation's."),
]
TrustEmail = Annotated[
    bool,
    Meta(description="An address of `domains` counts as verified though Entra does not say so (`xms_edov`)."),
]


class DynamicsSettings(msgspec.Struct, frozen=True, rename="camel"):
    """Microsoft Dynamics: people sign in at their directory, and Dataverse says which user they are."""

    directory: Directory
    client_id: Guid
    organization: Annotated[
        str, Meta(min_length=1, max_length=300, description="Like `https://contoso.crm.dynamics.com`.")
    ]
    cloud: CloudName = ""
    group_claim: Annotated[str, Meta(max_length=256, description="Claim that holds the groups.")] = "groups"
    trust_email: TrustEmail = False
    audiences: Audiences = ()
    keep_tokens: Annotated[bool, Meta(description="Microsoft's tokens are kept, encrypted.")] = False


class EntraSettings(msgspec.Struct, frozen=True, rename="camel"):
    """Power Apps and others that call with an Entra ID access token of their own."""

    directory: Directory
    applications: Annotated[
        tuple[Guid, ...], Meta(min_length=1, max_length=100, description="Client ids of the apps that may call.")
    ]
    cloud: CloudName = ""
    graph_tokens: Annotated[bool, Meta(description="Tokens for Microsoft Graph count, once Graph accepted them.")] = (
        True
    )
    client_id: Annotated[
        str, Meta(max_length=36, description="Our own application: tokens for it are verified by its directory's keys.")
    ] = ""
    app_id_uri: Annotated[str, Meta(max_length=300, description="Our application's App ID URI, in v1.0 tokens.")] = ""
    scopes: Annotated[
        tuple[str, ...], Meta(max_length=20, description="A token for our application must hold one of these.")
    ] = ()
    ask_graph: Annotated[
        bool, Meta(description="Graph is asked on behalf of the caller for the profile and the account's state.")
    ] = False
    guests: Annotated[bool, Meta(description="Guests of the directory are let in.")] = False
    group_claim: Annotated[str, Meta(max_length=256, description="Claim that holds the groups.")] = "groups"
    trust_email: TrustEmail = False


class Settings(msgspec.Struct, frozen=True, rename="camel"):
    """Everything but the secrets. Exactly one of the members named like a kind is there."""

    domains: Annotated[
        tuple[str, ...], Meta(max_length=100, description="E-mail domains that this provider owns and vouches for.")
    ] = ()
    create_users: Annotated[bool, Meta(description="People who are not known yet get an account.")] = False
    group_roles: Annotated[tuple[GroupRoles, ...], Meta(max_length=500)] = ()
    default_roles: Annotated[
        tuple[Role, ...], Meta(max_length=7, description="Roles of everybody who signs in through this provider.")
    ] = ()
    group_separator: Annotated[
        str, Meta(max_length=1, description="Splits a text that holds several groups; empty: one text is one group.")
    ] = ""
    return_addresses: Annotated[
        tuple[Address, ...], Meta(max_length=50, description="Where a sign-in may end, beside the client's own list.")
    ] = ()
    oidc: OidcSettings | None = None
    saml: SamlSettings | None = None
    dynamics: DynamicsSettings | None = None
    entra: EntraSettings | None = None

    @property
    def kind(self) -> str:
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def issuer(self) -> str:
        """What the provider calls itself; a Microsoft directory's id."""
        if self.oidc is not None:
            return self.oidc.issuer
        if self.saml is not None:
            return self.saml.entity_id
        found = self.dynamics or self.entra
        assert found is not None
        return found.directory

    @property
    def grants(self) -> frozenset[Role]:
        """All roles that this provider can give."""
        return frozenset(self.default_roles).union(*(line.roles for line in self.group_roles))


class Secrets(msgspec.Struct, frozen=True):
    """What is stored encrypted. ``keys`` and ``certificates``: our own pairs for SAML, newest first (PEM, base64)."""

    client_secret: str | None = None
    keys: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()


@lru_cache(maxsize=1024)
def settings_of(text: str) -> Settings:
    """The settings of a stored text."""
    return msgspec.json.decode(text, type=Settings)


def check_provider_name(name: str) -> None:
    """Raises ValidationError."""
    if not _PROVIDER_NAME.match(name):
        sentence = "1 to 63 lower-case letters, digits, inner dots, hyphens, underscores"
        raise ValidationError(details=[("name", sentence)])


def check_mark(before: Settings | None, after: Settings, by_admin: bool) -> None:
    """Only an Admin lets a provider use the shared callback address, and only for the issuer that it has then. Raises
    Forbidden."""
    if by_admin or after.oidc is None or not after.oidc.shared_callback:
        return
    had = before.oidc if before is not None else None
    if had is None or not had.shared_callback or had.issuer != after.oidc.issuer:
        raise Forbidden("Only an Admin gives a provider the shared callback address: set oidc.sharedCallback to false")


def check(settings: Settings) -> None:
    """What types cannot say. Raises ValidationError that names the member."""
    if sum(getattr(settings, kind) is not None for kind in KINDS) != 1:
        raise ValidationError(details=[("oidc", f"Exactly one of {', '.join(KINDS)} is needed")])
    for number, domain in enumerate(settings.domains):
        if not DOMAIN.match(domain):
            raise ValidationError(details=[(f"domains[{number}]", "Must be a domain in lower case, like acme.example")])
    for number, address in enumerate(settings.return_addresses):
        check_return_address(address, f"returnAddresses[{number}]")
    groups = [line.group for line in settings.group_roles]
    if len(groups) != len(set(groups)):
        raise ValidationError(details=[("groupRoles", "Each group may stand there once")])
    if settings.oidc is not None:
        _check_oidc(settings.oidc)
    if settings.saml is not None:
        _check_saml(settings.saml)
    if settings.dynamics is not None:
        _check_guids("dynamics", directory=settings.dynamics.directory, clientId=settings.dynamics.client_id)
    if settings.entra is not None:
        _check_entra(settings.entra)


def _check_oidc(oidc: OidcSettings) -> None:
    check_web_address(oidc.issuer, "oidc.issuer", query=False)
    if "openid" not in oidc.scopes or not all(_SCOPE.match(scope) for scope in oidc.scopes):
        raise ValidationError(details=[("oidc.scopes", "Must hold openid, and words without spaces")])


def _check_saml(saml: SamlSettings) -> None:
    for name, address in (("redirectUrl", saml.redirect_url), ("postUrl", saml.post_url)):
        if address:
            check_web_address(address, f"saml.{name}")
    needed = "postUrl" if saml.binding == "post" else "redirectUrl"
    if not (saml.post_url if saml.binding == "post" else saml.redirect_url):
        raise ValidationError(details=[(f"saml.{needed}", "Needed for this binding")])


def _check_entra(entra: EntraSettings) -> None:
    _check_guids("entra", directory=entra.directory, clientId=entra.client_id or entra.directory)
    for number, application in enumerate(entra.applications):
        _check_guids("entra", **{f"applications[{number}]": application})
    if not entra.graph_tokens and not entra.client_id:
        raise ValidationError(details=[("entra.clientId", "Needed when tokens for Graph do not count")])
    if not all(_SCOPE.match(scope) for scope in entra.scopes):
        raise ValidationError(details=[("entra.scopes", "Must be words without spaces")])


def _check_guids(where: str, **named: str) -> None:
    for name, value in named.items():
        if not _GUID.match(value):
            raise ValidationError(details=[(f"{where}.{name}", "Must be a GUID in lower case")])
