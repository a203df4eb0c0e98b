"""How an Entra ID access token is judged: whether it is genuine, whose provider it is for, and whom it names here.

Which app asked for a token and whom it names counts only once the token is known to be genuine: by Graph's word for
tokens that only Graph can read, by the directory's keys for tokens for our own application. Graph's word alone is not
enough: any app that a person signed in to holds such a token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, NamedTuple, TypeVar

from manifest_auth import audit, providers, sessions, tenants
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.errors import (
    AccountDisabled,
    Conflict,
    Forbidden,
    InvalidToken,
    ProviderUnavailable,
    SsoFailed,
    TokenExpired,
)
from manifest_auth.protocols import microsoft
from manifest_auth.protocols.microsoft import Accepted, Claims, Profile, Refused, Throttled
from manifest_auth.providers import Provider
from manifest_auth.runtime.outgoing import Deadline, Unreachable
from manifest_auth.services import RequestContext
from manifest_auth.sessions import Foreign
from manifest_auth.sign_in import completion
from manifest_auth.sign_in.providers import account_matching, flow
from manifest_auth.sign_in.providers.account_matching import Person, Ticket
from manifest_auth.sign_in.providers.entra import EntraSettings, accepted_by
from manifest_auth.sign_in.providers.microsoft import person_of
from manifest_auth.sign_in.sign_in_metrics import counts
from manifest_auth.store import SystemUnit, TenantUnit

T = TypeVar("T")
METHOD = EntraSettings.kind
KEEP_MS = 5 * 60_000
MOST_PROVIDERS = 50


class Misfit(InvalidToken):
    """A token of a directory that some client has, which fits none of its providers: counted as a failure."""


class NotGenuine(Misfit):
    """Microsoft did not issue the token as it stands. Nothing that a client settles changes that."""


class _Fitting(NamedTuple):
    """A provider whose settings fit what a token says of itself. ``is_named``: its client is the one that the request
    names, or the request names none."""

    provider: Provider
    settings: EntraSettings
    accepted: Accepted
    claims: Claims
    is_named: bool


class _Found(NamedTuple):
    """Providers that a token may be judged by, at least one. ``claims``: see :class:`Foreign`."""

    fitting: list[_Fitting]
    claims: int | None


class Verdict(NamedTuple):
    """``ends_at``: when the token itself ends, milliseconds."""

    foreign: Foreign
    ends_at: int


async def judge(ctx: RequestContext, token: str, named: str | None, until: float) -> Verdict:
    """Whose token it is. ``named``: the client that the request names, if any; ``until``: when all calls must be
    answered, as time of the event loop.

    Whether it is genuine comes first: until then nothing is told of whose it may be, and nobody can make a difference
    by what they claim. Raises Misfit, NotGenuine, InvalidToken, TokenExpired, Forbidden, SsoFailed, AccountDisabled,
    ProviderUnavailable.
    """
    found = await _fitting(ctx, token, named)
    if len(found.fitting) == 1:
        await _check_not_signed_out(ctx, token, found.fitting[0])
    profile = await _authentic(ctx, token, found.fitting[0], until)
    fitting = await _only(ctx, found.fitting)
    if len(found.fitting) > 1:
        await _check_not_signed_out(ctx, token, fitting)
    person = await _person(ctx, token, fitting, profile, until)
    if not fitting.is_named:
        raise Forbidden(reason="X-Client-ID disagrees with the token")

    def work(unit: SystemUnit) -> Foreign:
        return _sign_in(unit, ctx, fitting, person, token)._replace(claims=found.claims)

    foreign = await flow.again(lambda: ctx.services.store.write_quickly(work))
    return Verdict(foreign, int(fitting.claims.expires_at * 1000))


@counts(METHOD, "linked")
async def link(ctx: RequestContext, name: str, token: str) -> None:
    """Links the person of a token to the caller, who is signed in by a session and shows the token: that is consent
    (contract, section 5). ``name``: of the provider.

    Raises NotFound, Conflict for a provider of another kind, SsoFailed, AccountDisabled, ProviderUnavailable.
    """
    session_id = ctx.user.session_id
    provider = await ctx.store.read(lambda unit: providers.get(unit, name))
    if provider.kind != METHOD:
        raise Conflict("Nobody shows a token of this provider")
    if provider.disabled_at is not None:
        raise SsoFailed("This way to sign in is switched off", reason="provider is switched off")
    try:
        fitting = _fit(ctx, provider, microsoft.read(token) or {}, is_named=True)
        await _check_not_signed_out(ctx, token, fitting)
        until = ctx.services.outgoing.deadline(provider.tenant_id).at
        person = await _person(ctx, token, fitting, await _authentic(ctx, token, fitting, until), until)
    except (Refused, InvalidToken, TokenExpired) as error:  # the caller's own token is as good as before
        raise SsoFailed(reason=f"link: {error}") from error

    def work(unit: SystemUnit) -> None:
        ticket = flow.consent(unit, ctx, provider, session_id)
        _match(unit.of(provider.tenant_id), ctx, provider, person, ticket)

    await flow.again(lambda: ctx.services.store.write_quickly(work))


async def _fitting(ctx: RequestContext, token: str, named: str | None) -> _Found:
    """The providers that a token fits: of the client that the request names, where one of its does. Raises Misfit,
    InvalidToken."""
    payload = microsoft.read(token) or {}
    directory_id = microsoft.directory_of(payload)
    found, claims = await ctx.services.store.read(lambda unit: _providers(unit, directory_id, named))
    reasons: set[str] = set()
    fitting: list[_Fitting] = []
    for provider, is_named in found:
        try:
            fitting.append(_fit(ctx, provider, payload, is_named=is_named))
        except (Refused, SsoFailed) as error:  # one client's provider without a cloud is nothing to another's
            reasons.add(str(error))
    if not found:
        raise InvalidToken(reason="entra: the directory is bound to no client, or no claim on it counts")
    if not fitting:
        raise Misfit(reason=f"entra: {'; '.join(sorted(reasons))}")
    return _Found([one for one in fitting if one.is_named] or fitting[:1], claims if named is None else None)


async def _only(ctx: RequestContext, fitting: list[_Fitting]) -> _Fitting:
    """The one that is meant. Raises InvalidToken where several are."""
    if len(fitting) > 1:
        fitting = await ctx.services.store.read(lambda unit: _not_suspended(unit, fitting)) or fitting
    if len(fitting) > 1:
        raise InvalidToken(reason="entra: several providers accept it: X-Client-ID must name a client that has one")
    return fitting[0]


def _fit(ctx: RequestContext, provider: Provider, payload: Mapping[str, Any], *, is_named: bool) -> _Fitting:
    """Raises Refused, and SsoFailed when the installation does not have the provider's cloud any more."""
    settings = provider.own(EntraSettings)
    accepted = accepted_by(ctx, settings)
    return _Fitting(provider, settings, accepted, microsoft.check(payload, accepted, ctx.now), is_named)


async def _check_not_signed_out(ctx: RequestContext, token: str, fitting: _Fitting) -> None:
    """Raises InvalidToken."""
    tenant_id = fitting.provider.tenant_id
    key = sessions.foreign_key(METHOD, tenant_id, token)
    if await ctx.services.store.of(tenant_id).read(lambda unit: sessions.is_refused(unit, key)):
        raise InvalidToken(reason="entra: the token was signed out")


def _providers(unit: SystemUnit, directory_id: str, named: str | None) -> tuple[list[tuple[Provider, bool]], int]:
    """The directory's providers that are switched on, and whether each is meant: all of the client that the request
    names; else those of clients whose claim on the directory counts. Where a client is named, the latter only tell
    whether the token belongs elsewhere. And what shows whether the same claims count later on."""
    if not directory_id:
        return [], 0
    counting = providers.find_by_directory(unit, METHOD, directory_id, MOST_PROVIDERS)
    others = [(provider, named is None) for provider in counting]
    tenant = tenants.find(unit, named) if named is not None else None
    own = providers.list_all(unit.of(tenant.id)) if tenant is not None else []
    mine = [
        (provider, True)
        for provider in own
        if provider.kind == METHOD and provider.issuer == directory_id and provider.disabled_at is None
    ]
    return [*mine, *others], sessions.claims_stamp(unit, directory_id)


def _not_suspended(unit: SystemUnit, several: list[_Fitting]) -> list[_Fitting]:
    """Those whose client is not: one that is keeps nobody out elsewhere, and is told so where it is the only one."""
    return [one for one in several if tenants.get(unit, one.provider.tenant_id).suspended_at is None]


async def _authentic(ctx: RequestContext, token: str, fitting: _Fitting, until: float) -> Profile | None:
    """Whether Microsoft issued the token as it stands; what Graph said of its person, where Graph was asked. Where
    several providers fit, any of them will do: it is about the token alone.

    Raises NotGenuine, TokenExpired, ProviderUnavailable.
    """
    calls, cloud, claims = ctx.services.microsoft, fitting.accepted.cloud, fitting.claims
    deadline = Deadline(fitting.provider.tenant_id, until)
    is_over = claims.expires_at * 1000 <= ctx.now
    if cloud.is_graph(claims.audience):
        if is_over:  # nobody can tell any more whether it was genuine
            raise TokenExpired(reason="entra: token for Graph")
        profile = await _told(calls.profile(token, cloud, deadline), NotGenuine)
        if profile.id != claims.person:
            raise NotGenuine(reason="entra: oid: Graph names somebody else")
        return profile
    await _told(calls.verify(token, claims, cloud, deadline), NotGenuine)
    if is_over:
        raise TokenExpired(reason="entra: token for our application")
    return None


async def _told(asking: Awaitable[T], refused: type[InvalidToken] = InvalidToken) -> T:
    """What Microsoft answers. Raises ``refused``, ProviderUnavailable."""
    try:
        return await asking
    except Throttled as error:
        raise ProviderUnavailable(reason=str(error), retry_after=error.seconds) from error
    except Unreachable as error:
        raise ProviderUnavailable(reason=str(error)) from error
    except Refused as error:
        raise refused(reason=f"entra: {error}") from error


async def _person(ctx: RequestContext, token: str, fitting: _Fitting, profile: Profile | None, until: float) -> Person:
    """Whom a genuine token names. ``profile``: what Graph said of them already. Raises InvalidToken, AccountDisabled,
    SsoFailed, ProviderUnavailable."""
    claims, settings = fitting.claims, fitting.settings
    if profile is None and settings.ask_graph:
        profile = await _told(_on_behalf(ctx, token, fitting, Deadline(fitting.provider.tenant_id, until)))
        if profile.id != claims.person:
            raise InvalidToken(reason="entra: oid: Graph names somebody else")
    if profile is not None and profile.is_guest and not settings.guests:
        # Of whom the token need not say so: `acct` and `idp` are optional.
        raise InvalidToken(reason="entra: Graph: a guest")
    if profile is not None and profile.is_disabled:
        why = "Graph says that the account is disabled"
        store = ctx.services.store.of(fitting.provider.tenant_id)
        await store.write(lambda unit: flow.record(unit, ctx, fitting.provider, AccountDisabled(reason=why)))
        raise AccountDisabled(reason=f"entra: {why}")
    return person_of(claims.everything, settings, profile)


async def _on_behalf(ctx: RequestContext, token: str, fitting: _Fitting, deadline: Deadline) -> Profile:
    """What Graph says of the caller of a genuine token for our own application. Raises Unreachable, and SsoFailed: that
    our secret is over, or that nobody consented, is not the caller's fault."""
    calls, cloud, settings = ctx.services.microsoft, fitting.accepted.cloud, fitting.settings
    secret = providers.open_secrets(ctx.services.sealer, fitting.provider).client_secret or ""
    try:
        exchanged = await calls.on_behalf_of(token, settings.directory, settings.client_id, secret, cloud, deadline)
        return await calls.profile(exchanged, cloud, deadline)
    except Refused as error:
        refusal = SsoFailed(reason=f"entra: {error}")
        store = ctx.services.store.of(fitting.provider.tenant_id)
        await store.write(lambda unit: flow.record(unit, ctx, fitting.provider, refusal))
        raise refusal from error


def _sign_in(unit: SystemUnit, ctx: RequestContext, fitting: _Fitting, person: Person, token: str) -> Foreign:
    provider = fitting.provider
    bound = unit.of(provider.tenant_id)
    if tenants.get(unit, provider.tenant_id).suspended_at is not None:
        suspended = AccountDisabled(reason=flow.SUSPENDED)
        flow.record(bound, ctx, provider, suspended)
        raise suspended
    user = _match(bound, ctx, provider, person, Ticket())
    completion.check_in(unit, ctx, provider.tenant_id, user.id, METHOD)
    key = sessions.foreign_key(METHOD, provider.tenant_id, token)
    audit.record(bound, ctx, Event.SIGNED_IN, f"user:{user.id}", method=METHOD, provider=provider.id, session=key[:22])
    identity = providers.find_identity(bound, provider.id, person.subject)
    assert identity is not None
    until = min(int(fitting.claims.expires_at * 1000), ctx.now + KEEP_MS)
    return Foreign(
        key=key,
        method=METHOD,
        identity_id=identity.id,
        provider_changed_at=provider.changed_at,
        judged_at=ctx.now,
        until=until,
        claims=None,
    )


def _match(unit: TenantUnit, ctx: RequestContext, provider: Provider, person: Person, ticket: Ticket) -> User:
    """The user, or a refusal that is written down."""
    try:
        return account_matching.match(unit, ctx, provider, person, ticket)
    except SsoFailed as refusal:
        flow.record(unit, ctx, provider, refusal)
        raise
