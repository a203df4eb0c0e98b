"""Entra ID access tokens as bearers: Power Apps and others call with a token that Microsoft issued.

A token is judged once and the verdict kept until its end, at most five minutes; who calls, and what they may do, is
looked at on every request, as for our own tokens. Which app asked for a token and whom it names counts only once the
token is known to be genuine: by Graph's word for tokens that only Graph can read, by the directory's keys for tokens
for our own application. Graph's word alone is not enough: any app that a person signed in to holds such a token.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from manifest_auth import audit, microsoft, providers, sessions, tenants
from manifest_auth.audit import Event
from manifest_auth.context import Context
from manifest_auth.errors import (
    AccountDisabled,
    Conflict,
    InvalidToken,
    ProviderUnavailable,
    SsoFailed,
    TokenExpired,
)
from manifest_auth.microsoft import Accepted, Claims, Profile, Refused, Throttled
from manifest_auth.outgoing import Unreachable
from manifest_auth.providers import EntraSettings, Provider
from manifest_auth.sessions import Foreign, Principal
from manifest_auth.sign_in import directory, finish, matching
from manifest_auth.sign_in.matching import Person, Ticket
from manifest_auth.store import SystemUnit, TenantUnit

METHOD = "entra"
KEEP_MS = 5 * 60_000
MOST = 20_000


class _Fitting(NamedTuple):
    """A provider whose settings fit what a token says of itself."""

    provider: Provider
    settings: EntraSettings
    accepted: Accepted
    claims: Claims


class EntraTokens:
    """The verdicts of one process."""

    def __init__(self) -> None:
        self._verdicts: dict[str, Foreign] = {}
        self._under_way: dict[tuple[str, str | None], asyncio.Task[Foreign]] = {}

    def is_meant(self, ctx: Context, token: str) -> bool:
        """Whether Microsoft issued the token, going by its ``iss``: never by whether another check failed."""
        if token in self._verdicts:
            return True
        payload = None if ctx.house.verified.knows(token) else microsoft.read(token)
        issuer = payload.get("iss") if payload is not None else None
        return isinstance(issuer, str) and ctx.house.microsoft.clouds.of_issuer(issuer) is not None

    async def principal(self, ctx: Context, token: str, named: str | None) -> Principal:
        """Who calls. ``named``: the client that the request names, if any.

        Raises InvalidToken, TokenExpired, SsoFailed, AccountDisabled, ProviderUnavailable.
        """
        for _ in range(2):
            foreign = self._verdicts.get(token)
            if foreign is None or foreign.until <= ctx.now:
                foreign = await self._judged(ctx, token, named)
            principal = await ctx.house.principals.by_foreign(foreign)
            if principal is not None:
                return _alive(principal, ctx.now)
            self._verdicts.pop(token, None)  # the provider was changed since: judged by what holds now
        raise InvalidToken(reason="entra: the provider changes all the time")

    async def _judged(self, ctx: Context, token: str, named: str | None) -> Foreign:
        """One judgement however many ask at once: those who come later wait for the first one's."""
        key = (token, named)
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(_judge(ctx, token, named))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        foreign = await asyncio.shield(task)
        while len(self._verdicts) >= MOST:
            del self._verdicts[next(iter(self._verdicts))]
        self._verdicts[token] = foreign
        return foreign


def _alive(principal: Principal, now: int) -> Principal:
    if principal.ended_at is not None:
        raise InvalidToken(reason="entra: the token was signed out")
    if principal.deactivated_at is not None or principal.suspended_at is not None:
        raise AccountDisabled()
    if not principal.is_alive(now):
        raise InvalidToken(reason="entra: its time is over")
    return principal


async def _judge(ctx: Context, token: str, named: str | None) -> Foreign:
    fitting = await _fitting(ctx, token, named)
    try:
        person = await _genuine(ctx, token, fitting)
    except Throttled as error:
        raise ProviderUnavailable(reason=str(error), retry_after=error.seconds) from error
    except Unreachable as error:
        raise ProviderUnavailable(reason=str(error)) from error
    except Refused as error:
        ctx.house.metrics.sign_ins.labels(METHOD, "failed").inc()
        raise InvalidToken(reason=f"entra: {error}") from error

    def work(unit: SystemUnit) -> Foreign:
        return _match(unit, ctx, fitting, person, token)

    try:
        foreign = await ctx.house.store.write_quickly(work)
    except Conflict:  # two nodes met somebody new at once
        foreign = await ctx.house.store.write_quickly(work)
    except (SsoFailed, AccountDisabled):
        ctx.house.metrics.sign_ins.labels(METHOD, "refused").inc()
        raise
    ctx.house.metrics.sign_ins.labels(METHOD, "ok").inc()
    return foreign


async def _fitting(ctx: Context, token: str, named: str | None) -> _Fitting:
    """The one provider that the token may be judged by. Raises InvalidToken, and TokenExpired where a token for Graph
    says so itself: once it is over, nobody can tell any more whether it was genuine."""
    payload = microsoft.read(token) or {}
    tid = microsoft.directory_of(payload)

    def find(unit: SystemUnit) -> list[Provider]:
        found = [p for p in providers.find_by_issuer(unit, tid, METHOD) if p.disabled_at is None] if tid else []
        if named is None:
            return found
        tenant = tenants.find(unit, named)
        return [p for p in found if tenant is not None and p.tenant_id == tenant.id]

    reasons: list[str] = []
    fitting: list[_Fitting] = []
    for provider in await ctx.house.store.read(find):
        settings = provider.rules.entra
        assert settings is not None
        accepted = accepted_by(ctx, settings)
        try:
            fitting.append(_Fitting(provider, settings, accepted, microsoft.check(payload, accepted, ctx.now)))
        except Refused as error:
            reasons.append(str(error))
    if len(fitting) != 1:
        why = "several clients accept it: X-Client-ID must name one" if fitting else "; ".join(sorted(set(reasons)))
        raise InvalidToken(reason=f"entra: {why or 'the directory is bound to no client'}")
    only = fitting[0]
    if only.accepted.cloud.is_graph(only.claims.audience) and only.claims.expires_at * 1000 <= ctx.now:
        raise TokenExpired(reason="entra: token for Graph")
    return only


async def _genuine(ctx: Context, token: str, fitting: _Fitting) -> Person:
    """Raises Refused, Unreachable, TokenExpired."""
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
            secret = providers.open_secrets(ctx.house.sealer, fitting.provider).client_secret or ""
            exchanged = await calls.on_behalf_of(token, settings.directory, settings.client_id, secret, cloud, deadline)
            profile = await calls.profile(exchanged, cloud, deadline)
    if profile is not None and profile.id != claims.person:
        raise Refused("oid: Graph names somebody else")
    return directory.person_of(claims.everything, settings, profile)


def _match(unit: SystemUnit, ctx: Context, fitting: _Fitting, person: Person, token: str) -> Foreign:
    provider = fitting.provider
    bound = unit.of(provider.tenant_id)
    try:
        if tenants.get(unit, provider.tenant_id).suspended_at is not None:
            raise AccountDisabled(reason="the client is suspended")
        user = matching.match(bound, ctx, provider, person, Ticket())
    except SsoFailed as refusal:
        detail: dict[str, Any] = {"method": METHOD, "provider": provider.id, "why": refusal.reason[:500]}
        audit.record(bound, ctx, Event.SIGN_IN_FAILED, "", **detail)
        raise
    finish.check_in(unit, ctx, provider.tenant_id, user.id, METHOD)
    key = sessions.foreign_key(METHOD, token)
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
    """Refuses the caller's token from now on, on every node. Kept for a day more than any token lives."""
    key = ctx.user.session_id
    if sessions.refuse_foreign(unit, key, ctx.now, ctx.now + 2 * 86_400_000):
        audit.record(unit, ctx, Event.SIGNED_OUT, f"user:{ctx.user.user_id}", session=key[:22])
