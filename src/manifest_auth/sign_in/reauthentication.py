"""Re-authentication of a signed-in user, for actions that require it.

The session keeps its keys. Only what was verified, and when, changes. A refresh never changes that time.
"""

from __future__ import annotations

from typing import Any

from manifest_auth import audit, sessions, tenants
from manifest_auth.accounts import users
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.context import Principal
from manifest_auth.errors import Conflict, InvalidCredentials, InvalidToken, ValidationError
from manifest_auth.protocols import webauthn
from manifest_auth.protocols.webauthn import WebauthnRefused
from manifest_auth.providers import Provider
from manifest_auth.providers.sign_in_flows import REAUTHENTICATE, FlowRequest
from manifest_auth.services import RequestContext
from manifest_auth.sessions.sessions import MFA, Way
from manifest_auth.sign_in import browser_identity, password
from manifest_auth.sign_in.browser_identity import BrowserCookies
from manifest_auth.sign_in.identities import begin_chosen
from manifest_auth.sign_in.passkeys import ceremonies
from manifest_auth.sign_in.password import ProvedCaller
from manifest_auth.sign_in.providers import entra_bearer, provider_proofs
from manifest_auth.sign_in.providers.kind import SignInStart
from manifest_auth.sign_in.providers.kinds import KINDS
from manifest_auth.sign_in.providers.provider_flow import ProviderChoice, return_address
from manifest_auth.sign_in.second_factor import gate
from manifest_auth.sign_in.second_factor.continuing import ENTRY_POINT
from manifest_auth.sign_in.second_factor.gate import Answer, Judged, check_answer
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import step_up
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import REQUIRED
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counters, Wait

_NO_ANSWER = Answer()
_WRONG = "This doesn't confirm your identity"
_FIELDS = {"passkey": "credential"}  # members with a different name here


async def reauthenticate(
    ctx: RequestContext, typed: str | None, answer: Answer, browser: BrowserCookies
) -> tuple[int, tuple[Way, ...]]:
    """Returns when the caller re-authenticated, in milliseconds, and what was verified. Verifies the caller's password
    (``typed``) and, if the account has a second factor, a response of that factor; a passkey counts as both. A code by
    itself completes a password entry, or a sign-in at the provider, of the last ten minutes.

    Raises InvalidCredentials, ValidationError for insufficient members, ReauthenticationRequired for an account that
    only its provider can verify, RateLimited, Overloaded, InvalidToken, and Conflict for a caller without a session.
    """
    caller = ctx.user
    _check_session(caller)
    member = "" if answer == _NO_ANSWER else answer.member
    _check_members(ctx, typed, member)
    if member == "passkey":
        await webauthn.load()
    counters = await _count(ctx, browser) if member else None
    proved = await password.prove_current(ctx, typed, Event.REAUTHENTICATION_FAILED) if typed is not None else None

    def work(unit: SystemUnit) -> tuple[int, tuple[Way, ...]]:
        at, amr = _verified(unit, ctx, answer, member, counters, proved)
        bound = unit.of(caller.tenant_id)
        if not sessions.proved_again(bound, caller.session_id, caller.user_id, amr, at):
            raise InvalidToken(reason="the session ended in the meantime")
        audit.record(bound, ctx, Event.REAUTHENTICATED, caller.actor, session=caller.session_id, amr=list(amr))
        return at, amr

    return await ctx.services.store.write(work)


def _check_session(caller: Principal) -> None:
    if caller.method == entra_bearer.METHOD:
        raise Conflict("A token of Entra ID has no session here. Sign in first")
    if caller.is_device:
        raise Conflict(_("A device session can't re-authenticate. Sign in with a browser"))


def _check_members(ctx: RequestContext, typed: str | None, member: str) -> None:
    """Rejects insufficient credentials before anything is verified or counted."""
    caller, wanted = ctx.user, step_up.what_would_do(ctx.user)
    if typed is not None and "password" not in wanted:
        raise ValidationError(details=[("password", _("Your account has no password"))])
    if member and not caller.factors:
        raise ValidationError(details=[(_FIELDS.get(member, member), _("Your account has no second factor"))])
    if member == "passkey":
        return
    if typed is None and not (member and step_up.has_recent_first(caller, ctx.now)):
        if "password" not in wanted:
            step_up.refuse(caller)
        raise ValidationError(details=[("password", REQUIRED)])
    if caller.factors and not member:
        raise ValidationError(details=[(name, REQUIRED) for name in wanted[1:]])


async def _count(ctx: RequestContext, browser: BrowserCookies) -> Counters:
    """Counts the response before it is checked, with the counters of the second step of a sign-in. Raises
    RateLimited."""
    caller = ctx.user

    def work(unit: SystemUnit) -> Counters | Wait:
        bound, account = unit.of(caller.tenant_id), f"{caller.tenant_id}:{caller.user_id}"
        counters = browser_identity.counters_of(bound, ctx, ENTRY_POINT, account, caller.user_id, browser.devices)
        wait = ctx.services.throttle.count(unit, counters, ctx.now)
        if wait:
            audit.record(bound, ctx, Event.THROTTLED, caller.actor, method=ENTRY_POINT, wait_ms=wait.ms)
        return wait or counters

    counted = await ctx.services.store.write_quickly(work)
    if isinstance(counted, Wait):
        raise ctx.services.throttle.refusal(ENTRY_POINT, counted)
    return counted


def _verified(
    unit: SystemUnit,
    ctx: RequestContext,
    answer: Answer,
    member: str,
    counters: Counters | None,
    proved: ProvedCaller | None,
) -> tuple[int, tuple[Way, ...]]:
    """Checks the response, and the password again, for the locked user. Raises InvalidCredentials."""
    caller, bound = ctx.user, unit.of(ctx.user.tenant_id)
    user, at = users.get(bound, caller.user_id, lock=True), ctx.now
    second: Way | None = None
    if counters is not None:
        judged = _judge(unit, ctx, user, answer)
        if judged.way is None:
            why = judged.why or f"{member}: {'used before' if judged.replay else 'wrong'}"
            audit.record(bound, ctx, Event.REAUTHENTICATION_FAILED, caller.actor, why=why)
            if proved is not None:
                gate.wrong_code(bound, ctx, tenants.get(unit, caller.tenant_id), user)
            details = [(_FIELDS.get(member, member), "This is incorrect or was already used")]
            raise InvalidCredentials(_WRONG, details=details, reason=why, replay=judged.replay)
        second = judged.way
        throttle.succeeded(unit, counters)
        if second == "recovery":
            audit.record(bound, ctx, Event.RECOVERY_CODE_USED, caller.actor)
            gate.recovery_code_used(bound, ctx, tenants.get(unit, caller.tenant_id), user)
    first: tuple[Way, ...] = ()
    if proved is not None:
        proved.check_again(unit, user)
        first = ("pwd",)
    elif second != "passkey":
        first, at = step_up.first_ways(caller), caller.authenticated_at or 0
    return at, (*first, second, MFA) if second is not None else first


def _judge(unit: SystemUnit, ctx: RequestContext, user: User, answer: Answer) -> Judged:
    credential = answer.passkey
    if credential is None:
        return check_answer(unit.of(user.tenant_id), ctx, user, answer)
    try:
        challenge = webauthn.challenge_of(credential)
    except WebauthnRefused as refused:
        return Judged(None, why=f"passkey: {refused}")
    why = ceremonies.why_not_valid(ctx, "reauthenticate", ctx.user.session_id, challenge)
    if not why and not ceremonies.use_challenge(unit, challenge):
        return Judged(None, "passkey", "passkey: challenge already used")
    why = why or ceremonies.judge(unit, ctx, user, challenge, credential)
    return Judged(None if why else "passkey", why=why)


async def ways(ctx: RequestContext) -> tuple[str, ...]:
    """Returns the factors that re-authenticate the caller at this address, as :func:`.step_up.what_would_do` does,
    without passkeys if none works."""
    wanted = step_up.what_would_do(ctx.user)
    if "credential" not in wanted:
        return wanted
    settings, user_id = ctx.services.settings, ctx.user.user_id
    works = await ctx.store.read(lambda unit: ceremonies.knows_any(unit, settings, user_id))
    return tuple(one for one in wanted if works or one != "credential")


async def options(ctx: RequestContext) -> dict[str, Any]:
    """Returns the options with which the caller's browser uses one of the caller's passkeys, in this session. Raises
    Conflict if passkeys are off."""
    caller = ctx.user
    _check_session(caller)

    def work(unit: SystemUnit) -> dict[str, Any]:
        user = users.get(unit.of(caller.tenant_id), caller.user_id)
        return ceremonies.assertion_options(
            unit, ctx, user, ceremonies.new_challenge(ctx, "reauthenticate", caller.session_id)
        )

    return await ctx.services.store.read(work)


async def at_providers(ctx: RequestContext) -> list[Provider]:
    """Lists the providers at which :func:`begin_at_provider` can start."""
    usable = await ctx.store.read(lambda unit: provider_proofs.usable_by(unit, ctx.user.user_id))
    return [provider for provider in usable if KINDS[provider.kind].start]


async def begin_at_provider(ctx: RequestContext, name: str, return_to: str) -> SignInStart:
    """Starts re-authentication at a provider where the caller has an identity. ``name`` is empty if there is only one.

    Raises NotFound, SsoFailed, Conflict, ProviderUnavailable, and ValidationError for an address that is not listed.
    """
    caller = ctx.user
    _check_session(caller)

    def work(unit: SystemUnit) -> ProviderChoice:
        bound, tenant = unit.of(caller.tenant_id), tenants.get(unit, caller.tenant_id)
        provider = provider_proofs.choose_provider(bound, ctx, name)
        address = return_address(tenant, provider, return_to, roles=caller.roles)
        request = FlowRequest(address, response=REAUTHENTICATE, link_session_id=caller.session_id)
        return ProviderChoice(tenant, provider, request)

    return await begin_chosen(ctx, await ctx.services.store.read(work), caller.email)
