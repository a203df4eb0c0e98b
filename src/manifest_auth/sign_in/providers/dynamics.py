"""Microsoft Dynamics: the code flow at the client's directory, then Dataverse names the user.

The ID token is verified like any other (v2.0 issuer of the directory, audience, nonce). The access token then calls
``WhoAmI``, so only a user of the organization's environment can sign in.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from manifest_auth import providers
from manifest_auth.errors import Reason, SsoFailed, ValidationError
from manifest_auth.protocols import microsoft_diagnosis as diagnose
from manifest_auth.protocols import oidc
from manifest_auth.protocols.microsoft import Cloud, MicrosoftRefused, NoMember
from manifest_auth.protocols.oidc import Finding
from manifest_auth.providers import GroupClaim, Provider, sign_in_flows
from manifest_auth.providers.sign_in_flows import Flow
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.browser_identity import BrowserCookies
from manifest_auth.sign_in.providers import microsoft, provider_flow
from manifest_auth.sign_in.providers.account_matching import Person
from manifest_auth.sign_in.providers.kind import Callback, CookieOf, OurselvesData, SignInStart
from manifest_auth.sign_in.providers.microsoft import (
    OTHER_DIRECTORY,
    CloudName,
    Guid,
    MicrosoftKind,
    MicrosoftSettings,
    TrustEmail,
)
from manifest_auth.sign_in.providers.oidc import (
    Audiences,
    CallbackParams,
    calling_provider,
    end_code_flow,
    start_code_flow,
)
from manifest_auth.sign_in.providers.provider_flow import Outcome, ProviderChoice
from manifest_auth.store import TenantUnit
from manifest_auth.tenants.claims import domains
from manifest_auth.text.languages import marked as _

START = "/api/client/auth/ms-dynamics"
CALLBACK = f"{START}/callback"
_NO_MEMBER = _("You aren't a user of the organization in Dynamics")
_NOT_A_USER = Reason(
    "dataverse returned 403: …",
    cause="The user isn't a user of the environment, or has no security role there",
    cure="[Add the user](dynamics.md#1-set-up-entra-id)",
)
_DATAVERSE = Reason(
    "dataverse returned …",
    cause="The token isn't for this environment, or Dataverse returned no user for it",
    cure="Set `organization` to exactly the *Environment URL*",
)


class DynamicsSettings(MicrosoftSettings, frozen=True, rename="camel"):
    """Microsoft Dynamics: users sign in at their directory, and Dataverse identifies them."""

    kind: ClassVar[str] = "dynamics"

    client_id: Guid
    organization: Annotated[
        str, Meta(min_length=1, max_length=300, description="For example, `https://contoso.crm.dynamics.com`.")
    ]
    cloud: CloudName = ""
    group_claim: GroupClaim = "groups"
    trust_email: TrustEmail = False
    audiences: Audiences = ()
    keep_tokens: Annotated[bool, Meta(description="Stores Microsoft's tokens, encrypted.")] = False

    def check(self) -> None:
        self.check_guids(directory=self.directory, clientId=self.client_id)


def callback_of(ctx: RequestContext) -> str:
    """Returns the redirect URI to enter in the app registration. All providers share it, since all use the same
    authorization server."""
    return ctx.services.settings.public_url.rstrip("/") + CALLBACK


class _Dynamics(MicrosoftKind[DynamicsSettings, CallbackParams]):
    settings = DynamicsSettings
    start = START
    summary = "Sign in with Microsoft Dynamics: redirects to the directory"
    usual_name = domains.DYNAMICS
    callbacks = (Callback(CALLBACK, "Redirect URI for Microsoft"),)

    def check_cloud(self, cloud: Cloud, own: DynamicsSettings) -> None:
        if not cloud.is_organization(own.organization):
            sentence = _(
                "Must be the URL of an environment in the provider's cloud, for example https://contoso.crm.dynamics.com"
            )
            raise ValidationError(details=[("dynamics.organization", sentence)])

    def values_by_name(self, ctx: RequestContext, client: str, name: str) -> OurselvesData:
        return OurselvesData(callback_url=callback_of(ctx))

    async def diagnose_at(
        self, ctx: RequestContext, provider: Provider, own: DynamicsSettings, cloud: Cloud, secret: str | None
    ) -> AsyncIterator[Finding]:
        outgoing, callback, tenant_id = ctx.services.outgoing, callback_of(ctx), provider.tenant_id
        grant = {**diagnose.CODE, "redirect_uri": callback}
        yield await diagnose.application(outgoing, cloud, own.directory, own.client_id, secret, grant, tenant_id)
        yield await diagnose.environment(outgoing, cloud, own.organization, own.directory, tenant_id)
        text = _(
            "The app registration requires the redirect URI %(address)s. It also requires the delegated "
            "permission user_impersonation of Dataverse (Dynamics CRM).",
            address=callback,
        )
        yield Finding("note", text)

    async def _begin(self, ctx: RequestContext, chosen: ProviderChoice, login_hint: str) -> SignInStart:
        addresses = oidc.CallbackAddresses(callback_of(ctx))
        return await start_code_flow(ctx, chosen, registration_of(ctx, chosen.provider), addresses, login_hint)

    async def _end(
        self, ctx: RequestContext, returned: CallbackParams, cookie_of: CookieOf, browser: BrowserCookies
    ) -> tuple[Flow, Outcome]:
        async def judge(flow: Flow, provider: Provider) -> Outcome:
            own = provider.own(DynamicsSettings)
            person, tokens = await _ask(ctx, provider, own, flow, returned)

            def also(unit: TenantUnit, user_id: int) -> None:
                if own.keep_tokens:
                    providers.store_tokens(unit, ctx.services.sealer, provider, user_id, tokens, ctx.now)

            return await provider_flow.complete(
                ctx, provider, person, browser, flow=flow, return_to=flow.return_to, also=also
            )

        return await end_code_flow(
            ctx, self.name, lambda asked: registration_of(ctx, asked).issuer, returned, cookie_of, browser, judge
        )


KIND = _Dynamics()


async def _ask(
    ctx: RequestContext, provider: Provider, settings: DynamicsSettings, flow: Flow, returned: CallbackParams
) -> tuple[Person, bytes]:
    services = ctx.services
    cloud, deadline = microsoft.cloud_of(ctx, settings), services.outgoing.deadline(provider.tenant_id)
    nonce, verifier = sign_in_flows.open_secrets(services.sealer, flow)
    answer = oidc.Answer(returned.code, verifier, nonce, flow.redirect_uri)
    async with calling_provider(ctx, provider):
        try:
            redeemed = await services.oidc.redeem_tokens(registration_of(ctx, provider), answer, frozenset(), deadline)
            if redeemed.claims.get("tid") != settings.directory:
                raise SsoFailed(reason=OTHER_DIRECTORY.with_("a different directory"))
            person = microsoft.person_of(redeemed.claims, settings)
            user_id, organization_id = await services.microsoft.who_am_i(
                redeemed.access_token, settings.organization, cloud, deadline
            )
        except SsoFailed as error:
            raise await provider_flow.refuse(ctx, provider, error.why, oidc.SETUP_ERROR) from error
        except MicrosoftRefused as error:
            why, sentence = (_NOT_A_USER, _NO_MEMBER) if isinstance(error, NoMember) else (_DATAVERSE, oidc.SETUP_ERROR)
            raise await provider_flow.refuse(ctx, provider, why.also(str(error)), sentence) from error
    stored = msgspec.json.encode({"access_token": redeemed.access_token, "refresh_token": redeemed.refresh_token})
    alias = f"{providers.ALIAS}{organization_id}:{user_id}"  # the Dataverse user, the same person
    return person._replace(aliases=(alias,)), stored


def registration_of(ctx: RequestContext, provider: Provider) -> oidc.Registration:
    """Returns this server's registration at the directory; its scope requests a token for the organization's
    environment."""
    settings = provider.own(DynamicsSettings)
    cloud: Cloud = microsoft.cloud_of(ctx, settings)
    scopes = ["openid", "profile", "email", f"{settings.organization.rstrip('/')}/user_impersonation"]
    if settings.keep_tokens:
        scopes.append("offline_access")
    secret = providers.open_secrets(ctx.services.sealer, provider).client_secret
    return oidc.Registration(
        issuer=cloud.issuer_v2(settings.directory),
        client_id=settings.client_id,
        client_secret=secret,
        scopes=tuple(scopes),
        authentication="post" if secret else "none",
        audiences=settings.audiences,
    )
