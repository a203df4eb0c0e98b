"""How an Entra ID access token is judged: whose provider it fits, whether it is genuine, and whom it names here.

Which app asked for a token and whom it names counts only once the token is known to be genuine: by Graph's word for
tokens that only Graph can read, by the directory's keys for tokens for our own application. Graph's word alone is not
enough: any app that a person signed in to holds such a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from manifest_auth import audit, microsoft, providers, sessions, tenants
from manifest_auth.audit import Event
from manifest_auth.context import Context
from manifest_auth.errors import (
    AccountDisabled,
    Conflict,
    Forbidden,
    InvalidToken,
    ProviderUnavailable,
    SsoFailed,
    TokenExpired,
)
from manifest_auth.metrics import Method
from manifest_auth.microsoft import Accepted, Claims, Profile, Refused, Throttled
from manifest_auth.outgoing import Deadline, Unreachable
from manifest_auth.providers import EntraSettings, Provider
from manifest_auth.sessions import Foreign
from manifest_auth.sign_in import directory, finish, matching, provider_flow
from manifest_auth.sign_in.counting import counted
from manifest_auth.sign_in.matching import Person, Ticket
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.users import User

METHOD: Method = "entra"
KEEP_MS = 5 * 60_000


class _Fitting(NamedTuple):
    """A provider whose settings fit what a token says of itself. ``is_named``: its client is the one that the request
    names, or the request names none."""

    provider: Provider
    settings: EntraSettings
    accepted: Accepted
    claims: Claims
    is_named: bool


class Verdict(NamedTuple):
    """``ends_at``: when the token itself ends, milliseconds."""

    foreign: Foreign
    ends_at: int


async def judge(ctx: Context, token: str, named: str | None) -> Verdict:
    """Whose token it is. ``named``: the client that the request names, if any. The outcome is counted.

    Raises InvalidToken, TokenExpired, Forbidden, SsoFailed, AccountDisabled, ProviderUnavailable.
    """
    return await counted(ctx, METHOD, _found(ctx, token, named))


async def _found(ctx: Context, token: str, named: str | None) -> Verdict:
    fitting = await _fitting(ctx, token, named)
    person = await _proven(ctx, token, fitting)
    if not fitting.is_named:
        raise Forbidden(reason="X-Client-ID disagrees with the token")

    def work(unit: SystemUnit) -> Foreign:
        return _sign_in(unit, ctx, fitting, person, token)

    foreign = await provider_flow.again(lambda: ctx.house.store.write_quickly(work))
    return Verdict(foreign, int(fitting.claims.expires_at * 1000))


async def link(ctx: Context, name: str, token: str) -> None:
    """Links the person of a token to the caller, who is signed in by a session and shows the token: that is consent
    (contract, section 5). ``name``: of the provider.

    Raises NotFound, Conflict for a provider of another kind, SsoFailed, AccountDisabled, ProviderUnavailable.
    """
    await counted(ctx, METHOD, _link(ctx, name, token), lambda _: "linked")


async def _link(ctx: Context, name: str, token: str) -> None:
    session_id = ctx.user.session_id
    provider = await ctx.store.read(lambda unit: providers.get(unit, name))
    if provider.kind != METHOD:
        raise Conflict("Nobody shows a token of this provider")
    if provider.disabled_at is not None:
        raise SsoFailed("This way to sign in is switched off", reason="provider is switched off")
    try:
        fitting = _fit(ctx, provider, microsoft.read(token) or {}, is_named=True)
        await _check_not_over(ctx, token, fitting)
        person = await _proven(ctx, token, fitting)
    except (Refused, InvalidToken, TokenExpired) as error:  # the caller's own token is as good as before
        raise SsoFailed(reason=f"link: {error}") from error

    def work(unit: SystemUnit) -> None:
        ticket = provider_flow.consent(unit, ctx, provider, session_id)
        _match(unit.of(provider.tenant_id), ctx, provider, person, ticket)

    await provider_flow.again(lambda: ctx.house.store.write_quickly(work))


async def _fitting(ctx: Context, token: str, named: str | None) -> _Fitting:
    """The one provider that the token may be judged by: of the client that the request names, where one of its fits.
    Raises InvalidToken, TokenExpired."""
    payload = microsoft.read(token) or {}
    found = await ctx.house.store.read(lambda unit: _providers(unit, microsoft.directory_of(payload), named))
    reasons: set[str] = set()
    fitting: list[_Fitting] = []
    for provider, is_named in found:
        try:
            fitting.append(_fit(ctx, provider, payload, is_named=is_named))
        except (Refused, SsoFailed) as error:  # one client's provider without a cloud is nothing to another's
            reasons.add(str(error))
    several = [one for one in fitting if one.is_named]
    if len(several) > 1:
        several = await ctx.house.store.read(lambda unit: _not_suspended(unit, several)) or several
    if len(several) > 1:
        raise InvalidToken(reason="entra: several providers accept it: X-Client-ID must name a client that has one")
    if not fitting:
        raise InvalidToken(reason=f"entra: {'; '.join(sorted(reasons)) or 'the directory is bound to no client'}")
    only = (several or fitting)[0]
    await _check_not_over(ctx, token, only)
    return only


def _fit(ctx: Context, provider: Provider, payload: Mapping[str, Any], *, is_named: bool) -> _Fitting:
    """Raises Refused, and SsoFailed when the installation does not have the provider's cloud any more."""
    settings = provider.rules.entra
    assert settings is not None
    accepted = directory.accepted_by(ctx, settings)
    return _Fitting(provider, settings, accepted, microsoft.check(payload, accepted, ctx.now), is_named)


async def _check_not_over(ctx: Context, token: str, fitting: _Fitting) -> None:
    """Raises InvalidToken when it was signed out, and TokenExpired where a token for Graph says so itself: once it is
    over, nobody can tell any more whether it was genuine."""
    tenant_id, claims = fitting.provider.tenant_id, fitting.claims
    if fitting.accepted.cloud.is_graph(claims.audience) and claims.expires_at * 1000 <= ctx.now:
        raise TokenExpired(reason="entra: token for Graph")
    key = sessions.foreign_key(METHOD, tenant_id, token)
    if await ctx.house.store.of(tenant_id).read(lambda unit: sessions.is_refused(unit, key)):
        raise InvalidToken(reason="entra: the token was signed out")


def _providers(unit: SystemUnit, directory_id: str, named: str | None) -> list[tuple[Provider, bool]]:
    """The directory's providers that are switched on, and whether each is of the client that the request names. Those
    of others only tell whether the token belongs elsewhere."""
    if not directory_id:
        return []
    others = [(provider, named is None) for provider in providers.find_by_issuer(unit, directory_id, METHOD)]
    tenant = tenants.find(unit, named) if named is not None else None
    own = providers.list_all(unit.of(tenant.id)) if tenant is not None else []
    mine = [(provider, True) for provider in own if provider.kind == METHOD and provider.rules.issuer == directory_id]
    return [one for one in (*mine, *others) if one[0].disabled_at is None]


def _not_suspended(unit: SystemUnit, several: list[_Fitting]) -> list[_Fitting]:
    """Those whose client is not: one that is keeps nobody out elsewhere, and is told so where it is the only one."""
    return [one for one in several if tenants.get(unit, one.provider.tenant_id).suspended_at is None]


async def _proven(ctx: Context, token: str, fitting: _Fitting) -> Person:
    """Whom a token names, once it is known to be genuine. Raises as :func:`judge`."""
    try:
        return await _genuine(ctx, token, fitting)
    except Throttled as error:
        raise ProviderUnavailable(reason=str(error), retry_after=error.seconds) from error
    except Unreachable as error:
        raise ProviderUnavailable(reason=str(error)) from error
    except Refused as error:
        raise InvalidToken(reason=f"entra: {error}") from error


async def _genuine(ctx: Context, token: str, fitting: _Fitting) -> Person:
    """Raises Refused, Unreachable, TokenExpired, AccountDisabled, SsoFailed."""
    calls, deadline = ctx.house.microsoft, ctx.house.outgoing.deadline(fitting.provider.tenant_id)
    cloud, claims, settings = fitting.accepted.cloud, fitting.claims, fitting.settings
    profile: Profile | None = None
    if cloud.is_graph(claims.audience):
        profile = await calls.profile(token, cloud, deadline)
    else:
        await calls.verify(token, claims, cloud, deadline)
        if claims.expires_at * 1000 <= ctx.now:
            raise TokenExpired(reason="entra: token for our application")
        if settings.ask_graph:
            profile = await _on_behalf(ctx, token, fitting, deadline)
    if profile is not None and profile.id != claims.person:
        raise Refused("oid: Graph names somebody else")
    if profile is not None and profile.is_guest and not settings.guests:
        raise Refused("Graph: a guest")  # of whom the token need not say so: `acct` and `idp` are optional
    if profile is not None and profile.is_disabled:
        why = "Graph says that the account is disabled"
        store = ctx.house.store.of(fitting.provider.tenant_id)
        await store.write(lambda unit: provider_flow.record_refusal(unit, ctx, fitting.provider, why))
        raise AccountDisabled(reason=f"entra: {why}")
    return directory.person_of(claims.everything, settings, profile)


async def _on_behalf(ctx: Context, token: str, fitting: _Fitting, deadline: Deadline) -> Profile:
    """What Graph says of the caller of a genuine token for our own application. Raises Unreachable, and SsoFailed: that
    our secret is over, or that nobody consented, is not the caller's fault."""
    calls, cloud, settings = ctx.house.microsoft, fitting.accepted.cloud, fitting.settings
    secret = providers.open_secrets(ctx.house.sealer, fitting.provider).client_secret or ""
    try:
        exchanged = await calls.on_behalf_of(token, settings.directory, settings.client_id, secret, cloud, deadline)
        return await calls.profile(exchanged, cloud, deadline)
    except Refused as error:
        refusal = SsoFailed(reason=f"entra: {error}")
        store = ctx.house.store.of(fitting.provider.tenant_id)
        await store.write(lambda unit: provider_flow.record_failure(unit, ctx, fitting.provider, refusal))
        raise refusal from error


def _sign_in(unit: SystemUnit, ctx: Context, fitting: _Fitting, person: Person, token: str) -> Foreign:
    provider = fitting.provider
    bound = unit.of(provider.tenant_id)
    if tenants.get(unit, provider.tenant_id).suspended_at is not None:
        provider_flow.record_refusal(bound, ctx, provider, "the client is suspended")
        raise AccountDisabled(reason="the client is suspended")
    user = _match(bound, ctx, provider, person, Ticket())
    finish.check_in(unit, ctx, provider.tenant_id, user.id, METHOD)
    key = sessions.foreign_key(METHOD, provider.tenant_id, token)
    audit.record(bound, ctx, Event.SIGNED_IN, f"user:{user.id}", method=METHOD, provider=provider.id, session=key[:22])
    identity = providers.find_identity(bound, provider.id, person.subject)
    assert identity is not None
    until = min(int(fitting.claims.expires_at * 1000), ctx.now + KEEP_MS)
    return Foreign(key, METHOD, identity.id, provider.changed_at, ctx.now, until)


def _match(unit: TenantUnit, ctx: Context, provider: Provider, person: Person, ticket: Ticket) -> User:
    """The user, or a refusal that is written down."""
    try:
        return matching.match(unit, ctx, provider, person, ticket)
    except SsoFailed as refusal:
        provider_flow.record_failure(unit, ctx, provider, refusal)
        raise
