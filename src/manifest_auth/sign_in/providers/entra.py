"""Settings of providers whose apps, such as Power Apps, call with an Entra ID access token.

No sign-in page belongs to them; :mod:`.entra_verify` verifies the tokens.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, ClassVar

from msgspec import Meta

from manifest_auth.errors import ValidationError
from manifest_auth.protocols.microsoft import GUID, Accepted, Cloud, diagnose
from manifest_auth.protocols.oidc import Finding
from manifest_auth.providers import Provider
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers.microsoft import (
    CloudName,
    Guid,
    MicrosoftKind,
    MicrosoftSettings,
    TrustEmail,
    cloud_of,
)
from manifest_auth.sign_in.providers.oidc import are_scopes
from manifest_auth.text.json_schema import matching
from manifest_auth.text.models import ErrorCollector


class EntraSettings(MicrosoftSettings, frozen=True, rename="camel"):
    """Power Apps and others that call with an Entra ID access token of their own."""

    kind: ClassVar[str] = "entra"
    opens_sessions: ClassVar[bool] = False

    applications: Annotated[
        tuple[Guid, ...], Meta(min_length=1, max_length=100, description="Client ids of the apps that may call.")
    ]
    cloud: CloudName = ""
    graph_tokens: Annotated[bool, Meta(description="Tokens for Microsoft Graph count, once Graph accepted them.")] = (
        True
    )
    client_id: Annotated[
        str,
        Meta(
            max_length=36,
            description="Our own application: tokens for it are verified by its directory's keys.",
            extra_json_schema=matching(GUID, empty=True),
        ),
    ] = ""
    app_id_uri: Annotated[str, Meta(max_length=300, description="Our application's App ID URI, in v1.0 tokens.")] = ""
    scopes: Annotated[
        tuple[str, ...], Meta(max_length=20, description="A token for our application must hold one of these.")
    ] = ()
    ask_graph: Annotated[
        bool, Meta(description="Graph is asked on behalf of the caller for the profile and the account's state.")
    ] = False
    guests: Annotated[bool, Meta(description="Guests of the directory may call.")] = False
    group_claim: Annotated[str, Meta(max_length=256, description="Claim that holds the groups.")] = "groups"
    trust_email: TrustEmail = False

    def check(self) -> None:
        own = {"clientId": self.client_id} if self.client_id else {}
        listed = {f"applications[{number}]": guid for number, guid in enumerate(self.applications)}
        with ErrorCollector() as each:
            with each:
                self.check_guids(directory=self.directory, **own, **listed)
            with each:
                if not self.graph_tokens and not self.client_id:
                    raise ValidationError(details=[("entra.clientId", "Needed when tokens for Graph do not count")])
            with each:
                if not are_scopes(self.scopes):
                    raise ValidationError(details=[("entra.scopes", "Must be words without spaces")])


class _Entra(MicrosoftKind[EntraSettings, None]):
    settings = EntraSettings

    async def diagnose_at(
        self, ctx: RequestContext, provider: Provider, own: EntraSettings, cloud: Cloud, secret: str | None
    ) -> AsyncIterator[Finding]:
        if own.graph_tokens or own.ask_graph:
            yield await diagnose.graph(ctx.services.outgoing, cloud, provider.tenant_id)
        if own.client_id:
            async for found in _application(ctx, provider, own, cloud, secret):
                yield found
        elif own.ask_graph:
            yield Finding("note", "askGraph changes nothing without clientId: about a token for Graph, Graph is asked.")
        if own.graph_tokens and provider.rules.group_roles:
            text = "Tokens for Graph carry no groups: their callers have the default roles alone."
            yield Finding("note", text)


KIND = _Entra()


def accepted_by(ctx: RequestContext, settings: EntraSettings) -> Accepted:
    """What a provider's settings accept. Raises SsoFailed as :func:`cloud_of`."""
    audiences = {settings.client_id, settings.app_id_uri} | (
        {f"api://{settings.client_id}"} if settings.client_id else set()
    )
    return Accepted(
        directory=settings.directory,
        cloud=cloud_of(ctx, settings),
        applications=frozenset(settings.applications),
        audiences=frozenset(audiences - {""}),
        scopes=frozenset(settings.scopes),
        graph_tokens=settings.graph_tokens,
        guests=settings.guests,
    )


async def _application(
    ctx: RequestContext, provider: Provider, own: EntraSettings, cloud: Cloud, secret: str | None
) -> AsyncIterator[Finding]:
    audiences = ", ".join(sorted(accepted_by(ctx, own).audiences))
    yield Finding("ok", f"Tokens for our application are those with the audience {audiences}.")
    if own.ask_graph and secret is None:
        reason = "the caller's token is exchanged for one for Graph, which takes our application's client secret"
        yield Finding("bad", f"With askGraph {reason}: without it every token for our application is refused.")
    elif own.ask_graph:
        yield await diagnose.application(
            ctx.services.outgoing,
            cloud,
            own.directory,
            own.client_id,
            secret,
            {**diagnose.TOKEN, "scope": f"{cloud.graph}/User.Read"},
            provider.tenant_id,
        )
    elif secret is not None:
        yield Finding("note", "The client secret is used for nothing while askGraph is off.")
    if not own.scopes:
        yield Finding("note", "Tokens for our application count with any of its scopes: entra.scopes is empty.")
