"""Entra ID access tokens that apps send: settings of their providers, and verification of a token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar

from msgspec import Meta

from manifest_auth import audit, providers, sessions, tenants
from manifest_auth.accounts.users import User
from manifest_auth.audit import Act, Event
from manifest_auth.errors import (
    AccountDisabled,
    Conflict,
    Forbidden,
    InvalidToken,
    ProviderUnavailable,
    Reason,
    SsoFailed,
    TokenExpired,
    ValidationError,
)
from manifest_auth.protocols import microsoft
from manifest_auth.protocols import microsoft_diagnosis as diagnose
from manifest_auth.protocols.microsoft import GUID, Accepted, Claims, Cloud, MicrosoftRefused, Profile, Throttled
from manifest_auth.protocols.oidc import Finding
from manifest_auth.providers import GroupClaim, Provider
from manifest_auth.runtime.outgoing import Deadline
from manifest_auth.runtime.outgoing_guard import Unreachable
from manifest_auth.services import RequestContext
from manifest_auth.sessions import ExternalCaller
from manifest_auth.sign_in import completion
from manifest_auth.sign_in.providers import account_matching, provider_flow
from manifest_auth.sign_in.providers.account_matching import LinkGrant, Person
from manifest_auth.sign_in.providers.microsoft import (
    CloudName,
    Guid,
    MicrosoftKind,
    MicrosoftSettings,
    TrustEmail,
    cloud_of,
    person_of,
)
from manifest_auth.sign_in.providers.oidc import are_scopes
from manifest_auth.sign_in.refusal_reasons import SUSPENDED, SWITCHED_OFF
from manifest_auth.sign_in.sign_in_metrics import counts
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import ErrorCollector, matching

_ENTRA = Reason(
    "entra: …",
    cause="A token of Entra ID isn't accepted, or its exchange for a token for Graph was rejected",
    cure="See [Power Apps](power-apps.md#troubleshoot)",
)
_LINK = _ENTRA.also("link: …")
_GRAPH = _ENTRA.also("Graph …")


class EntraSettings(MicrosoftSettings, frozen=True, rename="camel"):
    """Power Apps and other callers with an Entra ID access token."""

    kind: ClassVar[str] = "entra"
    opens_sessions: ClassVar[bool] = False

    applications: Annotated[
        tuple[Guid, ...],
        Meta(min_length=1, max_length=100, description="Client IDs of the apps that can call the API."),
    ]
    cloud: CloudName = ""
    graph_tokens: Annotated[bool, Meta(description="Accepts tokens for Microsoft Graph after Graph accepted them.")] = (
        True
    )
    client_id: Annotated[
        str,
        Meta(
            max_length=36,
            description="This server's own application. The keys of its directory verify tokens for it.",
            extra_json_schema=matching(GUID, empty=True),
        ),
    ] = ""
    app_id_uri: Annotated[
        str, Meta(max_length=300, description="App ID URI of this server's application, in v1.0 tokens.")
    ] = ""
    scopes: Annotated[
        tuple[str, ...],
        Meta(max_length=20, description="A token for this server's application must contain one of these."),
    ] = ()
    ask_graph: Annotated[
        bool, Meta(description="On behalf of the caller, asks Graph for the profile and the state of the account.")
    ] = False
    guests: Annotated[bool, Meta(description="Guests of the directory can call the API.")] = False
    group_claim: GroupClaim = "groups"
    trust_email: TrustEmail = False

    def check(self) -> None:
        own = {"clientId": self.client_id} if self.client_id else {}
        listed = {f"applications[{number}]": guid for number, guid in enumerate(self.applications)}
        with ErrorCollector() as each:
            with each:
                self.check_guids(directory=self.directory, **own, **listed)
            with each:
                if not self.graph_tokens and not self.client_id:
                    raise ValidationError(
                        details=[("entra.clientId", _("Required if tokens for Graph aren't accepted"))]
                    )
            with each:
                if not are_scopes(self.scopes):
                    raise ValidationError(details=[("entra.scopes", _("Must be words without spaces"))])


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
            yield Finding(
                "note", _("askGraph has no effect without clientId. For a token for Graph, Graph is always asked.")
            )
        if own.graph_tokens and provider.rules.group_roles:
            yield Finding(
                "note", _("Tokens for Graph contain no groups, so their callers have only the default roles.")
            )


KIND = _Entra()


def accepted_by(ctx: RequestContext, settings: EntraSettings) -> Accepted:
    """Returns the values that a provider's settings accept. Raises SsoFailed, as :func:`cloud_of` does."""
    audiences = {settings.client_id, settings.app_id_uri, f"api://{settings.client_id}" if settings.client_id else ""}
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
    yield Finding("ok", _("Tokens for this server's application must have the audience %(names)s.", names=audiences))
    if own.ask_graph and secret is None:
        text = _(
            "With askGraph, the caller's token is exchanged for one for Graph. This requires the application's "
            "client secret. Without it, every token for this server's application is rejected."
        )
        yield Finding("bad", text)
    elif own.ask_graph:
        outgoing, tenant_id = ctx.services.outgoing, provider.tenant_id
        grant = {**diagnose.TOKEN, "scope": f"{cloud.graph}/User.Read"}
        yield await diagnose.application(outgoing, cloud, own.directory, own.client_id, secret, grant, tenant_id)
    elif secret is not None:
        yield Finding("note", _("The client secret isn't used while askGraph is off."))
    if not own.scopes:
        text = _("Tokens for this server's application are accepted with any scope, because entra.scopes is empty.")
        yield Finding("note", text)


# The app and the person that a token names count only after the token is known to be genuine: Graph verifies tokens for
# Graph, and the directory's keys verify tokens for this server's application. Acceptance by Graph is not enough, since
# any app that a person signed in to has such a token, so the app must be listed.

T = TypeVar("T")
METHOD = EntraSettings.kind
KEEP_MS = 5 * 60_000
MOST_PROVIDERS = 50


class NoMatchingProvider(InvalidToken):
    """A token of a known directory that matches none of its providers. Counts as a failure."""


class NotGenuine(NoMatchingProvider):
    """A token that Microsoft did not issue. No setting of a client changes that."""


class _Fitting(NamedTuple):
    """A provider whose settings match the token's claims. ``is_named``: the request names its client, or names none."""

    provider: Provider
    settings: EntraSettings
    accepted: Accepted
    claims: Claims
    is_named: bool


class EntraVerdict(NamedTuple):
    """The verdict on a token. ``ends_at`` is when the token itself expires, in milliseconds."""

    external: ExternalCaller
    ends_at: int


async def verify(ctx: RequestContext, token: str, named: str | None, until: float) -> EntraVerdict:
    """Returns the verdict on a token. ``named`` is the client that the request names, if any. ``until`` is the deadline
    of all calls, in the event loop's time.

    Verifies the token first, so that no response depends on an unverified claim. Raises NoMatchingProvider, NotGenuine,
    InvalidToken, TokenExpired, Forbidden, SsoFailed, AccountDisabled, ProviderUnavailable.
    """
    found, claims = await _fitting(ctx, token, named)
    if len(found) == 1:
        await _check_not_signed_out(ctx, token, found[0])
    profile = await _check_genuine(ctx, token, found[0], until)
    fitting = await _only(ctx, found)
    if len(found) > 1:
        await _check_not_signed_out(ctx, token, fitting)
    person = await _person(ctx, token, fitting, profile, until)
    if not fitting.is_named:
        told = [("X-Client-ID", "Names a different client than the token")]
        raise Forbidden(details=told, reason="X-Client-ID disagrees with the token")
    external = await provider_flow.retry_conflicts(
        lambda: ctx.services.store.write_quickly(lambda unit: _sign_in(unit, ctx, fitting, person, token))
    )
    return EntraVerdict(external._replace(claims=claims), int(fitting.claims.expires_at * 1000))


@counts(METHOD, "linked")
async def link(ctx: RequestContext, name: str, token: str) -> None:
    """Links the person of a token to the caller, who is signed in with a session; sending the token is the consent.
    ``name`` is the provider's. Raises NotFound, Conflict for a provider of another kind, SsoFailed, AccountDisabled,
    ProviderUnavailable, ReauthenticationRequired."""
    step_up.check(ctx, Act.IDENTITIES)
    session_id = ctx.user.session_id
    provider = await ctx.store.read(lambda unit: providers.get(unit, name))
    if provider.kind != METHOD:
        raise Conflict("Accounts of this provider can't be linked with a token")
    if provider.disabled_at is not None:
        raise SsoFailed(_("This sign-in method is turned off"), reason=SWITCHED_OFF)
    try:
        fitting = _fit(ctx, provider, microsoft.read(token) or {}, is_named=True)
        await _check_not_signed_out(ctx, token, fitting)
        until = ctx.services.outgoing.deadline(provider.tenant_id).at
        person = await _person(ctx, token, fitting, await _check_genuine(ctx, token, fitting, until), until)
    except (MicrosoftRefused, InvalidToken, TokenExpired) as error:
        # Not InvalidToken: the caller's session token is still valid.
        raise SsoFailed(reason=_LINK.with_(error)) from error

    def work(unit: SystemUnit) -> None:
        ticket = provider_flow.consent(unit, ctx, provider, session_id)
        _match(unit.of(provider.tenant_id), ctx, provider, person, ticket)

    await provider_flow.retry_conflicts(lambda: ctx.services.store.write_quickly(work))


async def _fitting(ctx: RequestContext, token: str, named: str | None) -> tuple[list[_Fitting], int | None]:
    """Returns the providers that a token matches, at least one, and the claims (see :class:`ExternalCaller`). If the
    request names a client and any of its providers match, only those. Raises NoMatchingProvider, InvalidToken."""
    payload = microsoft.read(token) or {}
    directory_id = microsoft.directory_of(payload)
    found, claims = await ctx.services.store.read(lambda unit: _providers(unit, directory_id, named))
    reasons: set[str] = set()
    fitting: list[_Fitting] = []
    for provider, is_named in found:
        try:
            fitting.append(_fit(ctx, provider, payload, is_named=is_named))
        except (MicrosoftRefused, SsoFailed) as error:
            reasons.add(str(error))  # a provider's missing cloud must not affect another client
    if not found:
        raise InvalidToken(reason="entra: no provider has the directory, or no claim on it is verified")
    if not fitting:
        raise NoMatchingProvider(reason=f"entra: {'; '.join(sorted(reasons))}")
    return [one for one in fitting if one.is_named] or fitting[:1], claims if named is None else None


async def _only(ctx: RequestContext, fitting: list[_Fitting]) -> _Fitting:
    """Returns the only matching provider. Raises InvalidToken if several match."""

    def work(unit: SystemUnit) -> list[_Fitting]:
        """Drops suspended clients, which must not block the token at another client."""
        return [one for one in fitting if tenants.get(unit, one.provider.tenant_id).suspended_at is None]

    if len(fitting) > 1:
        fitting = await ctx.services.store.read(work) or fitting
    if len(fitting) > 1:
        raise InvalidToken(reason="entra: several providers accept it: X-Client-ID must name a client that has one")
    return fitting[0]


def _fit(ctx: RequestContext, provider: Provider, payload: Mapping[str, Any], *, is_named: bool) -> _Fitting:
    """Checks the token's claims against a provider's settings. Raises Rejected, and SsoFailed if the installation no
    longer has the provider's cloud."""
    settings = provider.own(EntraSettings)
    accepted = accepted_by(ctx, settings)
    return _Fitting(provider, settings, accepted, microsoft.check(payload, accepted, ctx.now), is_named)


async def _check_not_signed_out(ctx: RequestContext, token: str, fitting: _Fitting) -> None:
    """Checks that the token has not been signed out. Raises InvalidToken."""
    tenant_id = fitting.provider.tenant_id
    key = sessions.external_key(METHOD, tenant_id, token)
    if await ctx.services.store.of(tenant_id).read(lambda unit: sessions.is_refused(unit, key)):
        raise InvalidToken(reason="entra: the token was signed out")


def _providers(unit: SystemUnit, directory_id: str, named: str | None) -> tuple[list[tuple[Provider, bool]], int]:
    """Returns the directory's enabled providers, each with a flag that the request means it, and a stamp that changes
    with the claims on the directory. If the request names a client, it means all providers of that client; otherwise,
    the providers of clients that have verified the directory. If it names a client, other clients' providers only show
    that the token belongs to another client."""
    if not directory_id:
        return [], 0
    counting = providers.find_by_directory(unit, METHOD, directory_id, MOST_PROVIDERS)
    others = [(provider, named is None) for provider in counting]
    tenant = tenants.find(unit, named) if named is not None else None
    own = providers.list_all(unit.of(tenant.id)) if tenant is not None else []
    mine = [one for one in own if (one.kind, one.issuer, one.disabled_at) == (METHOD, directory_id, None)]
    return [*((provider, True) for provider in mine), *others], sessions.claims_stamp(unit, directory_id)


async def _check_genuine(ctx: RequestContext, token: str, fitting: _Fitting, until: float) -> Profile | None:
    """Verifies that Microsoft issued the token. Returns the person's profile, if Graph was called. If several providers
    match, any of them works.

    Raises NotGenuine, TokenExpired, ProviderUnavailable.
    """
    calls, cloud, claims = ctx.services.microsoft, fitting.accepted.cloud, fitting.claims
    deadline = Deadline(fitting.provider.tenant_id, until)
    is_over = claims.expires_at * 1000 <= ctx.now
    if cloud.is_graph(claims.audience):
        if is_over:  # Graph can no longer verify it
            raise TokenExpired(reason="entra: token for Graph")
        profile = await _ask_microsoft(calls.profile(token, cloud, deadline), NotGenuine)
        if profile.id != claims.person:
            raise NotGenuine(reason="entra: oid: Graph names a different user")
        return profile
    await _ask_microsoft(calls.verify(token, claims, cloud, deadline), NotGenuine)
    if is_over:
        raise TokenExpired(reason="entra: token for our application")
    return None


async def _ask_microsoft(calling_provider: Awaitable[T], refused: type[InvalidToken] = InvalidToken) -> T:
    """Returns the result of a call to Microsoft. Raises ``refused``, ProviderUnavailable."""
    try:
        return await calling_provider
    except Throttled as error:
        raise ProviderUnavailable(reason=str(error), retry_after=error.seconds) from error
    except Unreachable as error:
        raise ProviderUnavailable(reason=str(error)) from error
    except MicrosoftRefused as error:
        raise refused(reason=f"entra: {error}") from error


async def _person(ctx: RequestContext, token: str, fitting: _Fitting, profile: Profile | None, until: float) -> Person:
    """Returns the person of a genuine token. ``profile`` is from Graph, if it was already called. Raises InvalidToken,
    AccountDisabled, SsoFailed, ProviderUnavailable."""
    claims, settings = fitting.claims, fitting.settings
    if profile is None and settings.ask_graph:
        profile = await _ask_microsoft(_on_behalf(ctx, token, fitting, Deadline(fitting.provider.tenant_id, until)))
        if profile.id != claims.person:
            raise InvalidToken(reason="entra: oid: Graph names a different user")
    if profile is not None and profile.is_guest and not settings.guests:
        # The token doesn't always say so, since `acct` and `idp` are optional.
        raise InvalidToken(reason="entra: Graph: a guest")
    if profile is not None and profile.is_disabled:
        why = _GRAPH.with_("says that the account is disabled")
        store = ctx.services.store.of(fitting.provider.tenant_id)
        await store.write(lambda unit: provider_flow.record(unit, ctx, fitting.provider, AccountDisabled(reason=why)))
        raise AccountDisabled(reason=_ENTRA.with_(why))
    return person_of(claims.everything, settings, profile)


async def _on_behalf(ctx: RequestContext, token: str, fitting: _Fitting, deadline: Deadline) -> Profile:
    """Returns the Graph profile of the caller of a genuine token for this server's application. Raises Unreachable, and
    SsoFailed, because the caller did not cause an expired secret or a missing consent."""
    calls, cloud, settings = ctx.services.microsoft, fitting.accepted.cloud, fitting.settings
    secret = providers.open_secrets(ctx.services.sealer, fitting.provider).client_secret or ""
    try:
        exchanged = await calls.on_behalf_of(token, settings.directory, settings.client_id, secret, cloud, deadline)
        return await calls.profile(exchanged, cloud, deadline)
    except MicrosoftRefused as error:
        refusal = SsoFailed(reason=_ENTRA.with_(error))
        store = ctx.services.store.of(fitting.provider.tenant_id)
        await store.write(lambda unit: provider_flow.record(unit, ctx, fitting.provider, refusal))
        raise refusal from error


def _sign_in(unit: SystemUnit, ctx: RequestContext, fitting: _Fitting, person: Person, token: str) -> ExternalCaller:
    provider = fitting.provider
    bound = unit.of(provider.tenant_id)
    if tenants.get(unit, provider.tenant_id).suspended_at is not None:
        suspended = AccountDisabled(reason=SUSPENDED)
        provider_flow.record(bound, ctx, provider, suspended)
        raise suspended
    user = _match(bound, ctx, provider, person, LinkGrant())
    completion.active_account(unit, ctx, provider.tenant_id, user.id, METHOD)
    key = sessions.external_key(METHOD, provider.tenant_id, token)
    audit.record(bound, ctx, Event.SIGNED_IN, f"user:{user.id}", method=METHOD, provider=provider.id, session=key[:22])
    identity = providers.find_identity(bound, provider.id, person.subject)
    assert identity is not None
    until = min(int(fitting.claims.expires_at * 1000), ctx.now + KEEP_MS)
    return ExternalCaller(
        key=key,
        method=METHOD,
        tenant_id=provider.tenant_id,
        identity_id=identity.id,
        provider_changed_at=provider.changed_at,
        verified_at=ctx.now,
        until=until,
        claims=None,
    )


def _match(unit: TenantUnit, ctx: RequestContext, provider: Provider, person: Person, ticket: LinkGrant) -> User:
    """Returns the user. A refusal is recorded."""
    try:
        return account_matching.match(unit, ctx, provider, person, ticket)
    except SsoFailed as refusal:
        provider_flow.record(unit, ctx, provider, refusal)
        raise
