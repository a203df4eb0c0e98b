"""Entra ID access tokens as bearers: Power Apps and others call with a token that Microsoft issued.

A token is judged once and the verdict kept until its end, at most five minutes; who calls, and what they may do, is
looked at on every request, as for our own tokens. Which app asked for a token and whom it names counts only once the
token is known to be genuine: by Graph's word for tokens that only Graph can read, by the directory's keys for tokens
for our own application. Graph's word alone is not enough: any app that a person signed in to holds such a token.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import NamedTuple

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
from manifest_auth.microsoft import Accepted, Claims, Profile, Refused, Throttled
from manifest_auth.outgoing import Unreachable
from manifest_auth.providers import EntraSettings, Provider
from manifest_auth.sessions import Foreign, Principal
from manifest_auth.sign_in import directory, finish, matching, provider_flow
from manifest_auth.sign_in.matching import Person, Ticket
from manifest_auth.store import SystemUnit, TenantUnit

METHOD = "entra"
KEEP_MS = 5 * 60_000
MOST = 20_000
REFUSED_MS = 2 * 86_400_000  # for how long at least a token stays signed out: a day more than Microsoft's live


#: Under which a verdict is kept: the token's SHA-256, and the client that the request names.
Key = tuple[bytes, str | None]


class _Fitting(NamedTuple):
    """A provider whose settings fit what a token says of itself. ``is_named``: its client is the one that the request
    names, or the request names none."""

    provider: Provider
    settings: EntraSettings
    accepted: Accepted
    claims: Claims
    is_named: bool


class _Verdict(NamedTuple):
    """``ends_at``: when the token itself ends, milliseconds."""

    foreign: Foreign
    ends_at: int


class EntraTokens:
    """The verdicts of one process."""

    def __init__(self) -> None:
        self._verdicts: dict[Key, _Verdict] = {}
        self._under_way: dict[Key, asyncio.Task[_Verdict]] = {}

    def key_of(self, ctx: Context, token: str, named: str | None) -> Key | None:
        """What :meth:`principal` knows the token by; None when Microsoft did not issue it, going by its ``iss``: never
        by whether another check failed. ``named``: the client that the request names, if any."""
        if ctx.house.verified.knows(token):
            return None
        key = (hashlib.sha256(token.encode()).digest(), named)
        if key in self._verdicts:
            return key
        issuer = (microsoft.read(token) or {}).get("iss")
        return key if isinstance(issuer, str) and ctx.house.microsoft.clouds.of_issuer(issuer) is not None else None

    async def principal(self, ctx: Context, token: str, key: Key) -> Principal:
        """Who calls.

        Raises InvalidToken, TokenExpired, Forbidden, SsoFailed, AccountDisabled, ProviderUnavailable.
        """
        for _ in range(2):
            verdict = self._verdicts.get(key)
            if verdict is None or verdict.foreign.until <= ctx.now:
                verdict = await self._judged(ctx, token, key)
            principal = await ctx.house.principals.by_foreign(verdict.foreign)
            if principal is not None:
                return _alive(principal, ctx.now)
            self._verdicts.pop(key, None)  # the provider was changed since: judged by what holds now
        raise InvalidToken(reason="entra: the provider changes all the time")

    def end_of(self, session_id: str) -> int:
        """When the token ends that is known by this in place of a session id; 0 when it is not remembered."""
        known = list(self._verdicts.values())
        return max((verdict.ends_at for verdict in known if verdict.foreign.key == session_id), default=0)

    async def _judged(self, ctx: Context, token: str, key: Key) -> _Verdict:
        """One judgement however many ask at once: those who come later wait for the first one's."""
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(_judge(ctx, token, key[1]))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        verdict = await asyncio.shield(task)
        while len(self._verdicts) >= MOST:
            del self._verdicts[next(iter(self._verdicts))]
        self._verdicts[key] = verdict
        return verdict

    def _forget(self, key: Key, done: asyncio.Task[_Verdict]) -> None:
        del self._under_way[key]
        if not done.cancelled():
            done.exception()  # looked at, though all who asked may be gone


def _alive(principal: Principal, now: int) -> Principal:
    if principal.ended_at is not None:
        raise InvalidToken(reason="entra: the token was signed out")
    if principal.deactivated_at is not None or principal.suspended_at is not None:
        raise AccountDisabled()
    if not principal.is_alive(now):
        raise InvalidToken(reason="entra: its time is over")
    return principal


async def _judge(ctx: Context, token: str, named: str | None) -> _Verdict:
    """Counts the outcome."""
    counter = ctx.house.metrics.sign_ins
    try:
        verdict = await _found(ctx, token, named)
    except (InvalidToken, TokenExpired, SsoFailed):
        counter.labels(METHOD, "failed").inc()
        raise
    except AccountDisabled:
        counter.labels(METHOD, "refused").inc()
        raise
    counter.labels(METHOD, "ok").inc()
    return verdict


async def _found(ctx: Context, token: str, named: str | None) -> _Verdict:
    fitting = await _fitting(ctx, token, named)
    try:
        person = await _genuine(ctx, token, fitting)
    except Throttled as error:
        raise ProviderUnavailable(reason=str(error), retry_after=error.seconds) from error
    except Unreachable as error:
        raise ProviderUnavailable(reason=str(error)) from error
    except Refused as error:
        raise InvalidToken(reason=f"entra: {error}") from error
    if not fitting.is_named:
        raise Forbidden(reason="X-Client-ID disagrees with the token")

    def work(unit: SystemUnit) -> Foreign:
        return _match(unit, ctx, fitting, person, token)

    try:
        foreign = await ctx.house.store.write_quickly(work)
    except Conflict:  # two nodes met somebody new at once
        foreign = await ctx.house.store.write_quickly(work)
    return _Verdict(foreign, int(fitting.claims.expires_at * 1000))


async def _fitting(ctx: Context, token: str, named: str | None) -> _Fitting:
    """The one provider that the token may be judged by: of the client that the request names, where one of its fits.

    Raises InvalidToken, and TokenExpired where a token for Graph says so itself: once it is over, nobody can tell any
    more whether it was genuine.
    """
    payload = microsoft.read(token) or {}
    found = await ctx.house.store.read(lambda unit: _providers(unit, microsoft.directory_of(payload), named))
    reasons: list[str] = []
    fitting: list[_Fitting] = []
    for provider, is_named in found:
        settings = provider.rules.entra
        assert settings is not None
        accepted = accepted_by(ctx, settings)
        try:
            claims = microsoft.check(payload, accepted, ctx.now)
        except Refused as error:
            reasons.append(str(error))
        else:
            fitting.append(_Fitting(provider, settings, accepted, claims, is_named))
    several = [one for one in fitting if one.is_named]
    if len(several) > 1:
        raise InvalidToken(reason="entra: several providers accept it: X-Client-ID must name a client that has one")
    if not fitting:
        why = "; ".join(sorted(set(reasons))) or "the directory is bound to no client"
        raise InvalidToken(reason=f"entra: {why}")
    only = (several or fitting)[0]
    if only.accepted.cloud.is_graph(only.claims.audience) and only.claims.expires_at * 1000 <= ctx.now:
        raise TokenExpired(reason="entra: token for Graph")
    key = sessions.foreign_key(METHOD, only.provider.tenant_id, token)
    store = ctx.house.store.of(only.provider.tenant_id)
    if await store.read(lambda unit: sessions.is_refused(unit, key)):
        raise InvalidToken(reason="entra: the token was signed out")
    return only


def _providers(unit: SystemUnit, directory_id: str, named: str | None) -> list[tuple[Provider, bool]]:
    """The directory's providers that are switched on, and whether each is of the client that the request names. Those
    of others only tell whether the token belongs elsewhere."""
    if not directory_id:
        return []
    others = [(provider, named is None) for provider in providers.find_by_issuer(unit, directory_id, METHOD)]
    tenant = tenants.find(unit, named) if named is not None else None
    own = providers.list_all(unit.of(tenant.id)) if tenant is not None else []
    mine = [(provider, True) for provider in own if provider.kind == METHOD and provider.rules.issuer == directory_id]
    others = [one for one in others if tenant is None or one[0].tenant_id != tenant.id]
    return [one for one in (*mine, *others) if one[0].disabled_at is None]


async def _genuine(ctx: Context, token: str, fitting: _Fitting) -> Person:
    """Raises Refused, Unreachable, TokenExpired, AccountDisabled, SsoFailed."""
    calls, deadline = ctx.house.microsoft, ctx.house.outgoing.deadline()
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
        raise AccountDisabled(reason="entra: Graph says that the account is disabled")
    return directory.person_of(claims.everything, settings, profile)


async def _on_behalf(ctx: Context, token: str, fitting: _Fitting, deadline: float) -> Profile:
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


def _match(unit: SystemUnit, ctx: Context, fitting: _Fitting, person: Person, token: str) -> Foreign:
    provider = fitting.provider
    bound = unit.of(provider.tenant_id)
    try:
        if tenants.get(unit, provider.tenant_id).suspended_at is not None:
            raise AccountDisabled(reason="the client is suspended")
        user = matching.match(bound, ctx, provider, person, Ticket())
    except SsoFailed as refusal:
        provider_flow.record_failure(bound, ctx, provider, refusal)
        raise
    finish.check_in(unit, ctx, provider.tenant_id, user.id, METHOD)
    key = sessions.foreign_key(METHOD, provider.tenant_id, token)
    audit.record(bound, ctx, Event.SIGNED_IN, f"user:{user.id}", method=METHOD, provider=provider.id, session=key[:22])
    identity = providers.find_identity(bound, provider.id, person.subject)
    assert identity is not None
    until = min(int(fitting.claims.expires_at * 1000), ctx.now + KEEP_MS)
    return Foreign(key, METHOD, identity.id, provider.changed_at, ctx.now, until)


def accepted_by(ctx: Context, settings: EntraSettings) -> Accepted:
    """What a provider's settings accept."""
    audiences = {settings.client_id, settings.app_id_uri} | (
        {f"api://{settings.client_id}"} if settings.client_id else set()
    )
    return Accepted(
        directory=settings.directory,
        cloud=directory.cloud_of(ctx, settings),
        applications=frozenset(settings.applications),
        audiences=frozenset(audiences - {""}),
        scopes=frozenset(settings.scopes),
        graph_tokens=settings.graph_tokens,
        guests=settings.guests,
    )


def sign_out(unit: TenantUnit, ctx: Context) -> None:
    """Refuses the caller's token from now on until its end, on every node."""
    key = ctx.user.session_id
    until = max(ctx.house.entra.end_of(key), ctx.now + REFUSED_MS)
    if sessions.refuse_foreign(unit, key, ctx.now, until):
        audit.record(unit, ctx, Event.SIGNED_OUT, f"user:{ctx.user.user_id}", session=key[:22])
