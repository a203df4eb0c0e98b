"""Tries of a provider: a manager really signs in there, and only sees what would have happened.

A try belongs to the session that started it: no other session or browser can complete it, and only that session sees
the result. Which user the person would be is decided by the code of every sign-in, in a transaction that is rolled
back.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from manifest_auth import audit, providers, sessions
from manifest_auth.accounts import users
from manifest_auth.audit import Event
from manifest_auth.context import Acting, Principal
from manifest_auth.errors import AccountDisabled, ProviderUnavailable, Reason, Refusal, SsoFailed
from manifest_auth.permissions import Permission, Role, permissions_of
from manifest_auth.providers import Provider, sign_in_flows
from manifest_auth.providers.sign_in_flows import Flow
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.browser_identity import BrowserCookies
from manifest_auth.sign_in.early_refusals import LONGEST_WHY
from manifest_auth.sign_in.providers import account_matching, provider_factors
from manifest_auth.sign_in.providers.account_matching import LinkGrant, Person, ProviderProof
from manifest_auth.sign_in.providers.provider_factors import FactorVerdict
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.text.languages import marked as _

T = TypeVar("T")
_MOST, _LONGEST = 100, 500
_ENDED = Reason(
    "try: the session has ended",
    cause="who tries the provider in the console signed out meanwhile, or is signed in as someone else",
    cure="try again, in the session that started it",
)
_OTHER_SESSION = _ENDED.also("try: of another session")
_NO_MANAGER = _ENDED.also("try: settings:manage was lost")
#: Values of one sign-in, which no page shows.
_WITHHELD = frozenset({"nonce", "at_hash", "c_hash", "jti", "sid"})


class Tried(msgspec.Struct, frozen=True):
    """The result of a try. ``why``: why the person would not get in, empty where they would; ``is_new``: an account
    would be created; ``roles``: bit mask of the roles that the person would have; ``groups``: None where the provider
    says only that there are some; ``factor``: who answers for the second one; ``claims``: names and values as texts.
    ``at``: milliseconds since 1970."""

    at: int
    why: str = ""
    subject: str = ""
    email: str = ""
    email_verified: bool | None = None
    name: str = ""
    is_new: bool = False
    roles: int = 0
    groups: tuple[str, ...] | None = ()
    amr: tuple[str, ...] = ()
    acr: str = ""
    auth_time: str = ""
    factor: FactorVerdict = "trusted"
    claims: tuple[tuple[str, str], ...] = ()

    @property
    def works(self) -> bool:
        return not self.why


class _DryRun(Exception):
    """Carries a result out of a transaction, and rolls it back."""

    def __init__(self, user_id: int, email: str, roles: int, refusal: Refusal | None) -> None:
        super().__init__()
        self.user_id, self.email, self.roles, self.refusal = user_id, email, roles, refusal


async def recorded(
    ctx: RequestContext,
    flow: Flow,
    provider: Provider,
    browser: BrowserCookies,
    judge: Callable[[], Awaitable[T]],
    over: T,
) -> T:
    """The outcome of ``judge``. A refusal of a try is stored as its result, and the outcome is ``over``. Raises
    SsoFailed where another session started the try."""
    if not flow.is_try:
        return await judge()
    manager = await ctx.services.store.read(lambda unit: _manager(unit, ctx, flow, browser))
    try:
        return await judge()
    except (SsoFailed, AccountDisabled, ProviderUnavailable) as refusal:
        await _store(ctx, flow, provider, manager, refused(ctx, refusal, is_admin=bool(manager.roles & Role.ADMIN.bit)))
        return over


def refused(ctx: RequestContext, refusal: Refusal, *, is_admin: bool) -> Tried:
    """The result of a try that ended early. Only an Admin sees why a server could not be reached: a try must not be a
    scan of the operator's network."""
    if isinstance(refusal, ProviderUnavailable) and not is_admin:
        return Tried(ctx.now, "The provider could not be reached. Only an Admin sees details.")
    return Tried(ctx.now, (refusal.reason or refusal.message)[:LONGEST_WHY])


async def complete(
    ctx: RequestContext,
    provider: Provider,
    person: Person,
    flow: Flow,
    browser: BrowserCookies,
    use: Callable[[TenantUnit], None] | None,
) -> None:
    """Completes a try whose answer is genuine. ``use``: as for :func:`.provider_flow.complete`. Raises SsoFailed where
    the session that started it has ended."""
    manager = await ctx.services.store.read(lambda unit: _manager(unit, ctx, flow, browser))
    found = await _dry_run(ctx, provider, person)
    known = await ctx.services.store.of(provider.tenant_id).read(lambda unit: users.find(unit, found.user_id))
    roles = found.roles or provider.rules.roles_of(person.groups or ())
    why = found.refusal.reason or found.refusal.message if found.refusal is not None else ""
    tried = Tried(
        at=ctx.now,
        why=why[:LONGEST_WHY],
        subject=person.subject[:_LONGEST],
        email=person.email or "",
        email_verified=person.email_verified,
        name=f"{person.first_name} {person.last_name}".strip()[:_LONGEST],
        is_new=not why and (known is None or known.email != found.email),
        roles=roles,
        groups=None if person.groups is None else tuple(group[:_LONGEST] for group in person.groups[:_MOST]),
        **_proof(person.proof),
        factor=provider_factors.verdict(provider.rules, person.proof),
        claims=_shown(person),
    )
    await _store(ctx, flow, provider, manager, tried, use)


async def _dry_run(ctx: RequestContext, provider: Provider, person: Person) -> _DryRun:
    """Which user the person would be if the provider were switched on."""

    def work(unit: TenantUnit) -> None:
        live = providers.switch(unit, provider, on=True, by_admin=True, now=ctx.now)
        try:
            user = account_matching.match(unit, ctx, live, person, LinkGrant())
        except Refusal as refusal:
            raise _DryRun(0, "", 0, refusal) from refusal
        disabled = AccountDisabled() if user.deactivated_at is not None else None
        raise _DryRun(user.id, user.email, user.roles, disabled)

    try:
        await ctx.services.store.of(provider.tenant_id).write(work)
    except _DryRun as found:
        return found
    raise AssertionError("a dry run never commits")


def _manager(unit: SystemUnit, ctx: RequestContext, flow: Flow, browser: BrowserCookies) -> Principal:
    """The session that started the try. Browsers send no session cookie with the form post of a provider's page: then
    the flow's own cookie identifies the browser, and only the session sees the result. Raises SsoFailed."""
    session = sessions.read(unit, flow.link_session_id or "")
    if session is None or not session.is_alive(ctx.now) or session.tenant_id != flow.tenant_id:
        raise SsoFailed(_("You are not signed in any more"), reason=_ENDED)
    shown = None if browser.cookie is None else sessions.read_by_cookie(unit, browser.cookie)
    if browser.cookie is not None and (shown is None or shown.session_id != session.session_id):
        raise SsoFailed(_("Another session of this browser started this"), reason=_OTHER_SESSION)
    if Permission.SETTINGS_MANAGE not in permissions_of(session.roles):
        raise SsoFailed(_("You may not do this any more"), reason=_NO_MANAGER)
    return session


async def _store(
    ctx: RequestContext,
    flow: Flow,
    provider: Provider,
    manager: Principal,
    result: Tried,
    use: Callable[[TenantUnit], None] | None = None,
) -> None:
    def work(unit: TenantUnit) -> None:
        if use is not None:
            use(unit)
        sign_in_flows.close_try(unit, ctx.services.sealer, flow, msgspec.json.encode(result), ctx.now)
        who = ctx.origin._replace(actor=manager.actor)
        record(unit, who, provider, result)

    await ctx.services.store.of(provider.tenant_id).write(work)


def record(unit: TenantUnit, who: Acting, provider: Provider, result: Tried) -> None:
    """Records the result of a try. ``who``: the manager who made it."""
    detail: dict[str, Any] = {"name": provider.name, "works": result.works, "why": result.why}
    audit.record(unit, who, Event.PROVIDER_TRIED, f"provider:{provider.id}", **detail)


def result_of(unit: TenantUnit, ctx: RequestContext, provider: Provider, session_id: str) -> Tried | None:
    """The result of the session's last try of the provider, until its row expires."""
    found = sign_in_flows.result_of_try(unit, ctx.services.sealer, provider.id, session_id, ctx.now)
    return None if found is None else msgspec.json.decode(found, type=Tried)


def _proof(proof: ProviderProof) -> dict[str, Any]:
    methods = tuple(method[:_LONGEST] for method in proof.amr[:_MOST])
    return {"amr": methods, "acr": proof.acr[:_LONGEST], "auth_time": proof.auth_time[:_LONGEST]}


def _shown(person: Person) -> tuple[tuple[str, str], ...]:
    """The first claims, each shortened, since providers send any amount."""
    names = [name for name in person.claims if name not in _WITHHELD][:_MOST]
    return tuple((name[:_LONGEST], _text(person.claims[name])) for name in names)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
