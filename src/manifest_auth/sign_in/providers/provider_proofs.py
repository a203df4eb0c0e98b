"""Authentication at a provider: second factors, re-authentication of a session, and test sign-ins without effect."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

import msgspec

from manifest_auth import audit, providers, sessions
from manifest_auth.accounts import users
from manifest_auth.audit import Event
from manifest_auth.context import RECENT_MS, Acting, Principal
from manifest_auth.errors import AccountDisabled, Conflict, NotFound, ProviderUnavailable, Reason, Refusal, SsoFailed
from manifest_auth.permissions import Permission, Role, permissions_of
from manifest_auth.protocols.oidc import Authorization
from manifest_auth.providers import Provider, sign_in_flows
from manifest_auth.providers.settings import Rules
from manifest_auth.providers.sign_in_flows import Flow, FlowRequest
from manifest_auth.services import RequestContext
from manifest_auth.sessions.sessions import MFA, Way
from manifest_auth.sign_in import return_addresses
from manifest_auth.sign_in.browser_identity import BrowserCookies, Identity
from manifest_auth.sign_in.providers import account_matching
from manifest_auth.sign_in.providers.account_matching import LinkGrant, Person, ProviderProof
from manifest_auth.sign_in.providers.group_roles import RANK
from manifest_auth.sign_in.refusal_reasons import CHANGED, LONGEST_WHY, UNLISTED
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.text.languages import marked as _

# Only claims of the verified ID token or assertion count. Claims that are not accepted cause no refusal; the client's
# own factor is due instead, under its own policy.

FactorVerdict = Literal["trusted", "accepted", "asked"]


def identity_of(provider: Provider, user_id: int, person: Person, now: int) -> Identity:
    """Returns the user's authentication from a sign-in at the provider. The time is the provider's own, or unknown."""
    at = min(person.proof.at, now) if person.proof.at is not None else None
    ways, asks = ways_of(provider.rules, person.proof), asks_own(provider.rules)
    return Identity(provider.kind, user_id, ways, provider_id=provider.id, authenticated_at=at, needs_factor=asks)


def ways_of(rules: Rules, proof: ProviderProof) -> tuple[Way, ...]:
    """Returns the methods in the response, with ``mfa`` if its claims are accepted as two factors."""
    accepted = rules.second_factor == "claims" and (
        not set(rules.amr).isdisjoint(proof.amr) or not set(rules.acr).isdisjoint((proof.acr, *proof.acrs))
    )
    return ("provider", MFA) if accepted else ("provider",)


def asks_anew(asked: FlowRequest | Flow) -> bool:
    """Whether the provider must authenticate the person again now."""
    return asked.is_reauthentication or return_addresses.asks_anew(asked.return_to)


def asks_own(rules: Rules) -> bool:
    """Whether the client's own factor is due if nothing else proved two factors."""
    return rules.second_factor != "trust"


def verdict(rules: Rules, proof: ProviderProof) -> FactorVerdict:
    """Returns who is responsible for the second factor of a sign-in with that proof."""
    if not asks_own(rules):
        return "trusted"
    return "accepted" if MFA in ways_of(rules, proof) else "asked"


def contexts_of(rules: Rules) -> tuple[str, ...]:
    """Returns the authentication contexts to request from a SAML provider (SAML core, section 3.3.2.2.1)."""
    return rules.acr if rules.second_factor == "claims" else ()


def asking(authorization: Authorization, rules: Rules, *, of_microsoft: bool) -> Authorization:
    """Returns the request for the accepted claims. All of them are voluntary, so that a provider that cannot serve them
    still responds (OpenID Connect Core, sections 3.1.2.1 and 5.5). ``of_microsoft``: Entra ID takes an authentication
    context instead of levels, only one, and only as an essential claim."""
    if rules.second_factor != "claims" or not (rules.amr or rules.acr):
        return authorization
    claims: dict[str, Any] = {"auth_time": {"essential": True}}
    if rules.amr:
        claims["amr"] = None
    if rules.acr and of_microsoft:
        claims["acrs"] = {"essential": True, "value": rules.acr[0]}
    elif rules.acr:
        authorization = authorization._replace(acr_values=" ".join(rules.acr))
    return authorization._replace(claims=msgspec.json.encode({"id_token": claims}).decode())


# Re-authentication requests a new sign-in (``max_age=0`` and ``prompt=login``, or ``ForceAuthn``). Anyone on the way
# can remove these parameters, so only the time in the verified response counts (OpenID Connect Core, section 3.1.2.1;
# SAML core, section 2.7.2).

_OTHER = _("You signed in as a different user")
_NOT_NOW = _("The provider didn't ask you to sign in again")
_OTHER_SUBJECT = Reason(
    "reauthentication: a different subject signed in",
    cause="The user signed in at the provider with another account, or signed out here in the meantime",
    cure="Re-authenticate with the same account",
)
_ENDED = _OTHER_SUBJECT.also("the session ended in the meantime")
_ENDED_BEFORE = _OTHER_SUBJECT.also("the session that requested re-authentication has ended")
_NO_IDENTITY = _OTHER_SUBJECT.also("no linked account at this provider")
_NO_TIME = Reason(
    "reauthentication: the provider sent no time",
    cause="`auth_time`, or the instant of the assertion, is missing",
    cure="Configure the provider to send it, or set `stepUpWithoutTime`",
)
_TOO_LONG_AGO = Reason(
    "reauthentication: the sign-in at the provider is too old",
    cause="The provider accepted an earlier sign-in, more than ten minutes old",
    cure="Use a provider that supports `max_age` and `prompt=login`",
)


async def complete_reauthentication(
    ctx: RequestContext,
    provider: Provider,
    person: Person,
    flow: Flow,
    use: Callable[[TenantUnit], None] | None,
    is_listed: Callable[[SystemUnit, int], bool],
) -> None:
    """Stores the proof in the session that requested it. ``use`` is the same as for :func:`.provider_flow.complete`.
    ``is_listed``: whether the browser can still return to its page, for a user with these roles. Raises SsoFailed for
    another person, and if the provider doesn't report that they authenticated within ten minutes."""

    def work(unit: SystemUnit) -> None:
        bound = unit.of(provider.tenant_id)
        if use is not None:
            use(bound)
        session = sessions.read(unit, flow.link_session_id or "")
        if session is None or not session.is_alive(ctx.now) or session.tenant_id != provider.tenant_id:
            raise SsoFailed(_("You're no longer signed in"), reason=_ENDED_BEFORE)
        why = _why_not(bound, ctx, provider, person, session)
        if not why and not is_listed(unit, session.roles):
            why = SsoFailed(reason=UNLISTED)
        who = ctx.origin._replace(actor=session.actor)
        detail = {"session": session.session_id, "provider": provider.id}
        if why is not None:
            audit.record(
                bound, who, Event.REAUTHENTICATION_FAILED, session.actor, **detail, why=why.reason[:LONGEST_WHY]
            )
            raise why
        at = min(person.proof.at, ctx.now) if person.proof.at is not None else ctx.now
        ways = ways_of(provider.rules, person.proof)
        if not sessions.proved_again(bound, session.session_id, session.user_id, ways, at):
            raise SsoFailed(_("You're no longer signed in"), reason=_ENDED)
        audit.record(bound, who, Event.REAUTHENTICATED, session.actor, **detail, amr=list(ways))

    await ctx.services.store.write(work)


def _why_not(
    unit: TenantUnit, ctx: RequestContext, provider: Provider, person: Person, session: Principal
) -> SsoFailed | None:
    """Returns why the response proves nothing about the session's user; None if it does."""
    now = providers.find_by_id(unit, provider.id, shared=True)
    if now is None or now.disabled_at is not None or now.changed_at != provider.changed_at:
        return SsoFailed(reason=CHANGED)
    identity = providers.find_identity(unit, provider.id, person.subject)
    if identity is None or identity.user_id != session.user_id:
        return SsoFailed(_OTHER, reason=_OTHER_SUBJECT)
    if session.roles & Role.ADMIN.bit and not now.reaches_admins:
        return SsoFailed(reason=RANK)
    if person.proof.at is None:
        return None if now.rules.step_up_without_time else SsoFailed(_NOT_NOW, reason=_NO_TIME)
    if ctx.now - person.proof.at >= RECENT_MS:
        return SsoFailed(_NOT_NOW, reason=_TOO_LONG_AGO)
    return None


def usable_by(unit: TenantUnit, user_id: int) -> list[Provider]:
    """Lists the client's enabled providers at which the user has an identity."""
    on = (one for one in providers.list_all(unit) if one.disabled_at is None)
    return [one for one in on if providers.has_subject(unit, one.id, user_id)]


def choose_provider(unit: TenantUnit, ctx: RequestContext, name: str) -> Provider:
    """Returns the provider at which the caller has an identity. ``name`` is empty if there is only one. Raises
    NotFound, Conflict if there are several."""
    usable = [one for one in usable_by(unit, ctx.user.user_id) if name in ("", one.name)]
    if not usable:
        raise NotFound(reason=_NO_IDENTITY.text)
    if len(usable) > 1:
        raise Conflict(_("Choose a provider, because you have linked accounts at several"))
    return usable[0]


# A test sign-in belongs to the session that started it: no other session or browser can complete it, and only that
# session sees the result. The code of every sign-in decides which user the person would be, in a transaction that is
# rolled back.

T = TypeVar("T")
_MOST, _LONGEST = 100, 500
_TRY_ENDED = Reason(
    "test: the session has ended",
    cause="The person who tests the provider in the console signed out in the meantime, or is signed in as "
    "someone else",
    cure="Try again, in the session that started it",
)
_OTHER_SESSION = _TRY_ENDED.also("test: from a different session")
_NO_MANAGER = _TRY_ENDED.also("test: the user no longer has settings:manage")
#: Values of a single sign-in, which no page shows.
_WITHHELD = frozenset({"nonce", "at_hash", "c_hash", "jti", "sid"})


class Tried(msgspec.Struct, frozen=True):
    """The result of a test sign-in. ``why``: why the person couldn't sign in, or empty; ``is_new``: an account would be
    created; ``roles``: bit mask of the roles that the person would have; ``groups``: None if the provider reports only
    that there are some; ``factor``: who is responsible for the second factor; ``claims``: names and values as text;
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


async def try_recorded(
    ctx: RequestContext,
    flow: Flow,
    provider: Provider,
    browser: BrowserCookies,
    judge: Callable[[], Awaitable[T]],
    over: T,
) -> T:
    """Returns the outcome of ``judge``. The refusal of a test sign-in is stored as its result, and the outcome is
    ``over``. Raises SsoFailed if another session started it."""
    if not flow.is_try:
        return await judge()
    manager = await ctx.services.store.read(lambda unit: _manager(unit, ctx, flow, browser))
    try:
        return await judge()
    except (SsoFailed, AccountDisabled, ProviderUnavailable) as refusal:
        await _store(
            ctx, flow, provider, manager, refused_try(ctx, refusal, is_admin=bool(manager.roles & Role.ADMIN.bit))
        )
        return over


def refused_try(ctx: RequestContext, refusal: Refusal, *, is_admin: bool) -> Tried:
    """Returns the result of a test sign-in that ended early. Only an Admin sees why a server could not be reached,
    since the test must not become a scan of the operator's network."""
    if isinstance(refusal, ProviderUnavailable) and not is_admin:
        return Tried(ctx.now, "The provider couldn't be reached. Only an Admin can see details.")
    return Tried(ctx.now, (refusal.reason or refusal.message)[:LONGEST_WHY])


async def complete_try(
    ctx: RequestContext,
    provider: Provider,
    person: Person,
    flow: Flow,
    browser: BrowserCookies,
    use: Callable[[TenantUnit], None] | None,
) -> None:
    """Completes a test sign-in with a genuine response. ``use`` is the same as for :func:`.provider_flow.complete`.
    Raises SsoFailed if the session that started it has ended."""
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
        factor=verdict(provider.rules, person.proof),
        claims=_shown(person),
    )
    await _store(ctx, flow, provider, manager, tried, use)


async def _dry_run(ctx: RequestContext, provider: Provider, person: Person) -> _DryRun:
    """Returns the user whom the person would be if the provider were turned on."""

    def work(unit: TenantUnit) -> None:
        live = providers.switch(unit, provider, on=True, by_admin=True, now=ctx.now)
        try:
            user = account_matching.match(unit, ctx, live, person, LinkGrant())
        except Refusal as refusal:
            raise _DryRun(0, "", 0, refusal) from refusal
        raise _DryRun(user.id, user.email, user.roles, AccountDisabled() if user.deactivated_at is not None else None)

    try:
        await ctx.services.store.of(provider.tenant_id).write(work)
    except _DryRun as found:
        return found
    raise AssertionError("a dry run never commits")


def _manager(unit: SystemUnit, ctx: RequestContext, flow: Flow, browser: BrowserCookies) -> Principal:
    """Returns the session that started the test sign-in. Browsers send no session cookie with the form post of a
    provider's page, so the flow's own cookie identifies the browser, and only the session sees the result. Raises
    SsoFailed."""
    session = sessions.read(unit, flow.link_session_id or "")
    if session is None or not session.is_alive(ctx.now) or session.tenant_id != flow.tenant_id:
        raise SsoFailed(_("You're no longer signed in"), reason=_TRY_ENDED)
    shown = None if browser.cookie is None else sessions.read_by_cookie(unit, browser.cookie)
    if browser.cookie is not None and (shown is None or shown.session_id != session.session_id):
        raise SsoFailed(_("This was started in a different session of this browser"), reason=_OTHER_SESSION)
    if Permission.SETTINGS_MANAGE not in permissions_of(session.roles):
        raise SsoFailed(_("You no longer have permission to do this"), reason=_NO_MANAGER)
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
        record_try(unit, ctx.origin._replace(actor=manager.actor), provider, result)

    await ctx.services.store.of(provider.tenant_id).write(work)


def record_try(unit: TenantUnit, who: Acting, provider: Provider, result: Tried) -> None:
    """Records the result of a test sign-in. ``who`` is the manager who ran it."""
    detail: dict[str, Any] = {"name": provider.name, "works": result.works, "why": result.why}
    audit.record(unit, who, Event.PROVIDER_TRIED, f"provider:{provider.id}", **detail)


def result_of_try(unit: TenantUnit, ctx: RequestContext, provider: Provider, session_id: str) -> Tried | None:
    """Returns the result of the session's last test sign-in at the provider, until its row expires."""
    found = sign_in_flows.result_of_try(unit, ctx.services.sealer, provider.id, session_id, ctx.now)
    return None if found is None else msgspec.json.decode(found, type=Tried)


def _proof(proof: ProviderProof) -> dict[str, Any]:
    methods = tuple(method[:_LONGEST] for method in proof.amr[:_MOST])
    return {"amr": methods, "acr": proof.acr[:_LONGEST], "auth_time": proof.auth_time[:_LONGEST]}


def _shown(person: Person) -> tuple[tuple[str, str], ...]:
    """Returns the first claims, each shortened, since providers send any amount."""
    names = [name for name in person.claims if name not in _WITHHELD][:_MOST]
    return tuple((name[:_LONGEST], _text(person.claims[name])) for name in names)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
