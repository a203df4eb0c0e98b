"""A manager tries a provider out: a real sign-in there, of which nothing comes but an account of what would have.

It belongs to the session that began it: another one, and another browser, cannot end it, and that session alone is
shown what was found. Who the person would be here is judged by the rules of every sign-in, in a transaction that is
rolled back.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from manifest_auth import audit, providers, sessions
from manifest_auth.accounts import users
from manifest_auth.audit import Event
from manifest_auth.context import Principal
from manifest_auth.errors import AccountDisabled, ProviderUnavailable, Refusal, SsoFailed
from manifest_auth.permissions import Permission, Role, permissions_of
from manifest_auth.providers import Provider, sign_in_flows
from manifest_auth.providers.sign_in_flows import Flow
from manifest_auth.services import RequestContext
from manifest_auth.sessions import cookie_hash
from manifest_auth.sign_in.completion import Browser
from manifest_auth.sign_in.known_refusals import LONGEST_WHY
from manifest_auth.sign_in.providers import account_matching
from manifest_auth.sign_in.providers.account_matching import Person, Proof, Ticket
from manifest_auth.store import SystemUnit, TenantUnit

T = TypeVar("T")
_MOST, _LONGEST = 100, 500
#: What a session is proved by belongs in no page.
_WITHHELD = frozenset({"nonce", "at_hash", "c_hash", "jti", "sid"})


class Tried(msgspec.Struct, frozen=True):
    """What came of it. ``why``: the reason that the person would not get in, empty where they would; ``is_new``: an
    account would be made; ``roles``: bit mask of those that the person would have; ``groups``: None where the provider
    says only that there are some; ``claims``: names and values as texts."""

    at: int
    why: str = ""
    subject: str = ""
    email: str = ""
    vouched: bool | None = None
    name: str = ""
    is_new: bool = False
    roles: int = 0
    groups: tuple[str, ...] | None = ()
    amr: tuple[str, ...] = ()
    acr: str = ""
    auth_time: str = ""
    claims: tuple[tuple[str, str], ...] = ()

    @property
    def works(self) -> bool:
        return not self.why


class _AsIfItWere(Exception):
    """Carries what was found out of a transaction, which it rolls back."""

    def __init__(self, user_id: int, email: str, roles: int, refusal: Refusal | None) -> None:
        super().__init__()
        self.user_id, self.email, self.roles, self.refusal = user_id, email, roles, refusal


async def told(
    ctx: RequestContext, flow: Flow, provider: Provider, browser: Browser, judge: Callable[[], Awaitable[T]], over: T
) -> T:
    """What ``judge`` makes of an answer. Of a try a refusal is a finding like any other: it is kept, and the outcome is
    ``over``. Raises SsoFailed where the try is another session's."""
    if not flow.is_try:
        return await judge()
    manager = await ctx.services.store.read(lambda unit: _manager(unit, ctx, flow, browser))
    try:
        return await judge()
    except (SsoFailed, AccountDisabled, ProviderUnavailable) as refusal:
        await _keep(ctx, flow, provider, manager, refused(ctx, refusal, is_admin=bool(manager.roles & Role.ADMIN.bit)))
        return over


def refused(ctx: RequestContext, refusal: Refusal, *, is_admin: bool) -> Tried:
    """A try that ended early. Of a server that could not be reached an Admin alone is told more: a try is no look
    around in the operator's network."""
    if isinstance(refusal, ProviderUnavailable) and not is_admin:
        return Tried(ctx.now, "The provider could not be reached. An Admin is told more.")
    return Tried(ctx.now, (refusal.reason or refusal.message)[:LONGEST_WHY])


async def complete(
    ctx: RequestContext,
    provider: Provider,
    person: Person,
    flow: Flow,
    browser: Browser,
    use: Callable[[TenantUnit], None] | None,
) -> None:
    """The end of a try whose answer is genuine. ``use``: as for :func:`.flow.complete`. Raises SsoFailed where the
    session that began it has ended."""
    manager = await ctx.services.store.read(lambda unit: _manager(unit, ctx, flow, browser))
    would_be = await _as_if(ctx, provider, person)
    known = await ctx.services.store.of(provider.tenant_id).read(lambda unit: users.find(unit, would_be.user_id))
    roles = would_be.roles or provider.rules.roles_of(person.groups or ())
    why = would_be.refusal.reason or would_be.refusal.message if would_be.refusal is not None else ""
    found = Tried(
        at=ctx.now,
        why=why[:LONGEST_WHY],
        subject=person.subject[:_LONGEST],
        email=person.email or "",
        vouched=person.vouched,
        name=f"{person.first_name} {person.last_name}".strip()[:_LONGEST],
        is_new=not why and (known is None or known.email != would_be.email),
        roles=roles,
        groups=None if person.groups is None else tuple(group[:_LONGEST] for group in person.groups[:_MOST]),
        **_proof(person.proof),
        claims=_shown(person),
    )
    await _keep(ctx, flow, provider, manager, found, use)


async def _as_if(ctx: RequestContext, provider: Provider, person: Person) -> _AsIfItWere:
    """Whom the person would be if the provider were switched on."""

    def work(unit: TenantUnit) -> None:
        live = providers.switch(unit, provider, on=True, by_admin=True, now=ctx.now)
        try:
            user = account_matching.match(unit, ctx, live, person, Ticket())
        except Refusal as refusal:
            raise _AsIfItWere(0, "", 0, refusal) from refusal
        disabled = AccountDisabled(reason="the account is deactivated") if user.deactivated_at is not None else None
        raise _AsIfItWere(user.id, user.email, user.roles, disabled)

    try:
        await ctx.services.store.of(provider.tenant_id).write(work)
    except _AsIfItWere as found:
        return found
    raise AssertionError("a try never commits")


def _manager(unit: SystemUnit, ctx: RequestContext, flow: Flow, browser: Browser) -> Principal:
    """Whose try it is. With a form that the provider's page makes a browser post no session cookie comes along: then
    the flow's own cookie tells the browser, and what is found is shown to the session alone. Raises SsoFailed."""
    session = sessions.read(unit, flow.link_session_id or "")
    if session is None or not session.is_alive(ctx.now) or session.tenant_id != flow.tenant_id:
        raise SsoFailed("You are not signed in any more", reason="the session that began the try has ended")
    if browser.cookie is not None and cookie_hash(browser.cookie) != session.cookie_hash:
        raise SsoFailed("You are signed in as somebody else by now", reason="another session began the try")
    if Permission.SETTINGS_MANAGE not in permissions_of(session.roles):
        raise SsoFailed("You may not do this any more", reason="who began the try has lost settings:manage")
    return session


async def _keep(
    ctx: RequestContext,
    flow: Flow,
    provider: Provider,
    manager: Principal,
    found: Tried,
    use: Callable[[TenantUnit], None] | None = None,
) -> None:
    def work(unit: TenantUnit) -> None:
        if use is not None:
            use(unit)
        sign_in_flows.close_try(unit, ctx.services.sealer, flow, msgspec.json.encode(found), ctx.now)
        who = ctx.origin._replace(actor=manager.actor)
        detail: dict[str, Any] = {"name": provider.name, "works": found.works, "why": found.why}
        audit.record(unit, who, Event.PROVIDER_TRIED, f"provider:{provider.id}", **detail)

    await ctx.services.store.of(provider.tenant_id).write(work)


def found_by(unit: TenantUnit, ctx: RequestContext, provider: Provider, session_id: str) -> Tried | None:
    """What the session's last try of the provider found, for as long as its row is there."""
    found = sign_in_flows.found_by_try(unit, ctx.services.sealer, provider.id, session_id, ctx.now)
    return None if found is None else msgspec.json.decode(found, type=Tried)


def _proof(proof: Proof) -> dict[str, Any]:
    methods = tuple(method[:_LONGEST] for method in proof.amr[:_MOST])
    return {"amr": methods, "acr": proof.acr[:_LONGEST], "auth_time": proof.auth_time[:_LONGEST]}


def _shown(person: Person) -> tuple[tuple[str, str], ...]:
    """The first claims, each cut: what a provider sends is not bounded."""
    names = [name for name in person.told if name not in _WITHHELD][:_MOST]
    return tuple((name[:_LONGEST], _text(person.told[name])) for name in names)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
