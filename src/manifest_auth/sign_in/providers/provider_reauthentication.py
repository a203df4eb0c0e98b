"""A session is proved anew at a provider: the same person authenticates there again, just now.

The request asks for that (``max_age=0`` and ``prompt=login``, or ``ForceAuthn``), and anyone on the way may remove it,
so only the time in the verified answer counts (OpenID Connect Core, section 3.1.2.1; SAML core, section 2.7.2).
"""

from __future__ import annotations

from collections.abc import Callable

from manifest_auth import audit, providers, sessions
from manifest_auth.audit import Event
from manifest_auth.context import RECENT_MS, Principal
from manifest_auth.errors import Conflict, NotFound, SsoFailed
from manifest_auth.permissions import Role
from manifest_auth.providers import Provider
from manifest_auth.providers.sign_in_flows import REAUTHENTICATE, Flow, FlowRequest
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.early_refusals import LONGEST_WHY
from manifest_auth.sign_in.providers import provider_factors
from manifest_auth.sign_in.providers.account_matching import Person
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.text.languages import marked as _

_OTHER = _("You signed in as another person")
_NOT_NOW = _("The provider did not ask you to sign in again")


async def complete(
    ctx: RequestContext,
    provider: Provider,
    person: Person,
    flow: Flow,
    use: Callable[[TenantUnit], None] | None,
    is_listed: Callable[[SystemUnit, int], bool],
) -> None:
    """Stores the proof in the session that asked for it. ``use``: as for :func:`.provider_flow.complete`;
    ``is_listed``: whether the browser may still return where it came from, for a user with these roles. Raises
    SsoFailed for another person, and where the provider does not say that they authenticated within ten minutes."""

    def work(unit: SystemUnit) -> None:
        bound = unit.of(provider.tenant_id)
        if use is not None:
            use(bound)
        session = sessions.read(unit, flow.link_session_id or "")
        if session is None or not session.is_alive(ctx.now) or session.tenant_id != provider.tenant_id:
            raise SsoFailed(_("You are not signed in any more"), reason="the session that asked for a proof has ended")
        why = _why_not(bound, ctx, provider, person, session)
        if not why and not is_listed(unit, session.roles):
            why = SsoFailed(reason="the return address was taken off the list meanwhile")
        who = ctx.origin._replace(actor=session.actor)
        detail = {"session": session.session_id, "provider": provider.id}
        if why is not None:
            audit.record(
                bound, who, Event.REAUTHENTICATION_FAILED, session.actor, **detail, why=why.reason[:LONGEST_WHY]
            )
            raise why
        at = min(person.proof.at, ctx.now) if person.proof.at is not None else ctx.now
        ways = provider_factors.ways_of(provider.rules, person.proof)
        if not sessions.proved_again(bound, session.session_id, session.user_id, ways, at):
            raise SsoFailed(_("You are not signed in any more"), reason="the session has ended meanwhile")
        audit.record(bound, who, Event.REAUTHENTICATED, session.actor, **detail, amr=list(ways))

    await ctx.services.store.write(work)


def _why_not(
    unit: TenantUnit, ctx: RequestContext, provider: Provider, person: Person, session: Principal
) -> SsoFailed | None:
    """Why the answer proves nothing about the session's user; None: it does."""
    now = providers.find_by_id(unit, provider.id, shared=True)
    if now is None or now.disabled_at is not None or now.changed_at != provider.changed_at:
        return SsoFailed(reason="the provider was switched off, changed or deleted meanwhile")
    identity = providers.find_identity(unit, provider.id, person.subject)
    if identity is None or identity.user_id != session.user_id:
        return SsoFailed(_OTHER, reason="reauthentication: of another subject")
    if session.roles & Role.ADMIN.bit and not now.reaches_admins:
        return SsoFailed(reason="an Admin's account, and the provider was last changed by a User Admin")
    if person.proof.at is None:
        is_enough = now.rules.step_up_without_time
        return None if is_enough else SsoFailed(_NOT_NOW, reason="reauthentication: the provider sent no time")
    if ctx.now - person.proof.at >= RECENT_MS:
        return SsoFailed(_NOT_NOW, reason="reauthentication: authenticated too long ago")
    return None


def usable_by(unit: TenantUnit, user_id: int) -> list[Provider]:
    """The client's providers that are on and at which the user has an identity."""
    on = (one for one in providers.list_all(unit) if one.disabled_at is None)
    return [one for one in on if providers.has_subject(unit, one.id, user_id)]


def choose(unit: TenantUnit, ctx: RequestContext, name: str) -> Provider:
    """The provider at which the caller has an identity; ``name``: empty where there is only one. Raises NotFound,
    Conflict where there are several."""
    usable = [one for one in usable_by(unit, ctx.user.user_id) if name in ("", one.name)]
    if not usable:
        raise NotFound(reason="no identity at such a provider")
    if len(usable) > 1:
        raise Conflict("Name the provider: you have identities at several")
    return usable[0]


def request_of(ctx: RequestContext, address: str) -> FlowRequest:
    """The options of the sign-in. ``address``: where the browser ends."""
    return FlowRequest(address, response=REAUTHENTICATE, link_session_id=ctx.user.session_id)
