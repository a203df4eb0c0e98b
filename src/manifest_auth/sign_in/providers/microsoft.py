"""Code shared by Microsoft's kinds: the settings of a directory, and the person of a token's claims.

A person is (``tid``, ``oid``), never an email address: administrators of any directory can set addresses.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from msgspec import Meta

from manifest_auth import providers
from manifest_auth.errors import Reason, SsoFailed, ValidationError
from manifest_auth.protocols import microsoft_diagnosis as diagnose
from manifest_auth.protocols.microsoft import GUID, Cloud, Clouds, Profile
from manifest_auth.protocols.oidc import Finding
from manifest_auth.providers import Directory, KindSettings, Provider
from manifest_auth.services import RequestContext, Services
from manifest_auth.sign_in.providers import account_matching
from manifest_auth.sign_in.providers.account_matching import Person
from manifest_auth.sign_in.providers.kind import Kind, R
from manifest_auth.text.canonical import EMAIL_SHAPE, email_key
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import matching

DirectoryId = Annotated[
    str,
    Meta(min_length=36, max_length=36, description="Directory (tenant) ID, a GUID.", extra_json_schema=matching(GUID)),
]
Guid = Annotated[str, Meta(min_length=36, max_length=36, extra_json_schema=matching(GUID))]
CloudName = Annotated[
    Literal["", "global", "us-gov", "us-dod", "china", "custom"],
    Meta(description="Microsoft cloud. Default: the cloud of the installation."),
]
TrustEmail = Annotated[
    bool, Meta(description="Accepts an address in `domains` as verified even if Entra doesn't say so (`xms_edov`).")
]


class MicrosoftSettings(KindSettings, frozen=True, rename="camel"):
    """A Microsoft directory, and this server's registration there."""

    directory: DirectoryId

    if TYPE_CHECKING:  # both kinds have these members, in different orders

        @property
        def client_id(self) -> str: ...
        @property
        def cloud(self) -> str: ...
        @property
        def group_claim(self) -> str: ...
        @property
        def trust_email(self) -> bool: ...

    @property
    def identifier(self) -> str:
        return self.directory

    @property
    def secret_for(self) -> tuple[str, ...]:
        return (self.directory, self.cloud)

    def microsoft_directory(self, clouds: Clouds) -> Directory | None:
        return Directory(self.cloud, self.directory, self.client_id)

    def check_guids(self, **named: str) -> None:
        """Checks that the values are GUIDs. Raises ValidationError."""
        wrong = [f"{self.kind}.{name}" for name, value in named.items() if not GUID.match(value)]
        if wrong:
            raise ValidationError(details=[(name, _("Must be a GUID in lowercase")) for name in wrong])


M = TypeVar("M", bound=MicrosoftSettings)


class MicrosoftKind(Kind[M, R]):
    """A kind of provider at Microsoft."""

    def check_here(self, services: Services, own: M) -> None:
        """Checks the settings against this installation. Raises ValidationError."""
        try:
            cloud = services.microsoft.clouds.get(own.cloud)
        except ValueError as error:
            raise ValidationError(
                details=[(f"{self.name}.cloud", _("This installation doesn't have this cloud"))]
            ) from error
        self.check_cloud(cloud, own)

    def check_cloud(self, cloud: Cloud, own: M) -> None:
        """Whether the settings fit their cloud. Raises ValidationError."""

    async def diagnose(
        self, ctx: RequestContext, client: str, provider: Provider, outgoing: object, *, is_quiet: bool = False
    ) -> AsyncIterator[Finding]:
        """Returns the findings. The operator configures Microsoft's clouds, so every caller gets the same ones."""
        own = provider.own(self.settings)
        try:
            cloud = cloud_of(ctx, own)
        except SsoFailed:
            yield Finding(
                "bad", _("This installation doesn't have a Microsoft cloud named %(name)s.", name=repr(own.cloud))
            )
            return
        name = ctx.services.microsoft.clouds.name_of(own.cloud)
        yield Finding(
            "ok",
            _(
                "The cloud is %(name)s, with login at %(login)s and Graph at %(graph)s.",
                name=name,
                login=cloud.login,
                graph=cloud.graph,
            ),
        )
        for found in await diagnose.directory(ctx.services.outgoing, cloud, own.directory, provider.tenant_id):
            yield found
        secret = providers.open_secrets(ctx.services.sealer, provider).client_secret
        async for found in self.diagnose_at(ctx, provider, own, cloud, secret):
            yield found

    def diagnose_at(
        self, ctx: RequestContext, provider: Provider, own: M, cloud: Cloud, secret: str | None
    ) -> AsyncIterator[Finding]:
        """Returns the findings that only this kind has."""
        raise NotImplementedError


OTHER_DIRECTORY = Reason(
    "tid: …", cause="The account belongs to another directory", cure="Sign in with an account of the correct directory"
)
OID = Reason(
    "oid: missing",
    cause="The ID token was issued without the scope `profile`, or not to a user",
    cure="Check the app registration",
)
_CLOUD = Reason(
    "unknown cloud …",
    cause="The installation no longer has the provider's Microsoft cloud",
    cure="Check `cloud`; see [Microsoft clouds](microsoft-clouds.md)",
)


def cloud_of(ctx: RequestContext, settings: MicrosoftSettings) -> Cloud:
    """Returns the cloud of a provider. Raises SsoFailed if the installation no longer has it."""
    try:
        return ctx.services.microsoft.clouds.get(settings.cloud)
    except ValueError as error:
        raise SsoFailed(reason=_CLOUD.also(str(error))) from error


def person_of(claims: Mapping[str, Any], settings: MicrosoftSettings, profile: Profile | None = None) -> Person:
    """Returns the person of verified claims. Raises SsoFailed if they name none.

    Email address and names are for display and for a new account. An address links an account only if Entra reports
    that the domain's owner is verified (``xms_edov``, which covers only the claim ``email``), or the client trusts its
    directory (``trustEmail``).
    """
    person = claims.get("oid")
    if not isinstance(person, str) or not GUID.match(person.lower()):
        raise SsoFailed(reason=OID.also("oid: missing; the app registration must ask for the scope profile"))
    email, told = _email(claims, profile), claims.get("email")
    is_told = email is not None and isinstance(told, str) and email_key(told) == email_key(email)
    verified = is_told and claims.get("xms_edov") in (True, 1, "1", "true")
    first, last = _text(claims, "given_name"), _text(claims, "family_name")
    if profile:
        first, last = profile.first_name, profile.last_name
    if not first and not last:
        first, _, last = _text(claims, "name").partition(" ")
    return Person(
        subject=f"{settings.directory}:{person.lower()}",  # the same at every provider of the client for this directory
        email=email,
        email_verified=True if verified or settings.trust_email else None,
        first_name=first,
        last_name=last,
        claims=claims,
        proof=account_matching.proof_of(claims),
        groups=account_matching.groups_of(claims, settings.group_claim),
        directory=settings.directory,
    )


def _email(claims: Mapping[str, Any], profile: Profile | None) -> str | None:
    found = [profile.email if profile else None]
    found += [claims.get(name) for name in ("email", "preferred_username", "upn", "unique_name")]
    return next((text for text in found if isinstance(text, str) and EMAIL_SHAPE.match(text)), None)


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""
