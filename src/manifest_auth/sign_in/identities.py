"""A user's identities at providers: linked, unlinked, and confirmed by an Admin."""

from __future__ import annotations

from manifest_auth import accounts, audit, providers, sessions, tenants
from manifest_auth.accounts import users
from manifest_auth.audit import Act, Event
from manifest_auth.errors import Conflict, SsoFailed
from manifest_auth.providers import LinkedBy, Provider
from manifest_auth.providers.identities import IdentityData
from manifest_auth.providers.sign_in_flows import FlowRequest
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import group_roles
from manifest_auth.sign_in.providers.kind import SignInStart
from manifest_auth.sign_in.providers.kinds import KINDS
from manifest_auth.sign_in.providers.provider_flow import ProviderChoice, return_address
from manifest_auth.sign_in.refusal_reasons import SWITCHED_OFF
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.text.languages import marked as _

MADE_THE_ACCOUNT = _("This account was created by this provider. Ask an administrator to unlink it.")
LAST_WAY_IN = _("This is your only sign-in method. Link another account or request a password first.")


def own(unit: TenantUnit, ctx: RequestContext) -> list[tuple[IdentityData, str]]:
    """Returns the caller's identities at providers, each with the reason why it cannot be unlinked, or empty if it
    can."""
    caller = ctx.user
    rows, user = providers.list_identities(unit, caller.user_id), users.get(unit, caller.user_id)
    by_password = user.password_hash is not None and tenants.settings_of(caller.tenant_settings).password_sign_in
    switched_off = {provider.name for provider in providers.list_all(unit) if provider.disabled_at is not None}

    def why(row: IdentityData) -> str:
        if row.how == LinkedBy.CREATED_UNVOUCHED.value:
            return MADE_THE_ACCOUNT
        others = any(other.id != row.id and other.provider not in switched_off for other in rows)
        return "" if by_password or others else LAST_WAY_IN

    return [(row, why(row)) for row in rows]


def unlink_own(unit: TenantUnit, ctx: RequestContext, identity: int) -> None:
    """Unlinks an identity from the caller's account and ends the caller's other sessions of that provider. Raises
    NotFound, ReauthenticationRequired, and Conflict for the identity that created the account and for the last sign-in
    method."""
    step_up.check(ctx, Act.IDENTITIES)
    user = ctx.user
    users.get(unit, user.user_id, lock=True, admins=True)  # only one of two concurrent unlinks succeeds
    audit.check_is_open(unit, ctx, may_end=True)
    if why := {row.id: why for row, why in own(unit, ctx)}.get(identity):
        raise Conflict(why)
    gone = group_roles.unlink(unit, ctx, user.user_id, identity)
    providers.drop_tokens(unit, user.user_id)
    reason, at = "identity_unlinked", gone.provider_id
    ended = sessions.end_all(unit, user.user_id, reason, ctx.now, but=user.session_id, at=at)
    _unlinked(unit, ctx, user.user_id, identity, ended)


def unlink(unit: TenantUnit, ctx: RequestContext, user_id: int, identity: int) -> None:
    """Unlinks an identity from a user whom the caller manages, and ends all of the user's sessions. Raises NotFound,
    Forbidden, ReauthenticationRequired for the caller's own identity."""
    user = accounts.get_managed(unit, ctx, user_id)
    step_up.check(ctx, Act.IDENTITIES, needed=f"user:{user.id}" == ctx.caller.actor)
    audit.check_is_open(unit, ctx, may_end=True)
    group_roles.unlink(unit, ctx, user.id, identity)
    providers.drop_tokens(unit, user.id)
    _unlinked(unit, ctx, user.id, identity, sessions.end_all(unit, user.id, "identity_unlinked", ctx.now))


def confirm(unit: TenantUnit, ctx: RequestContext, user_id: int, identity: int) -> None:
    """Records that an Admin confirms the identity as the user's. Raises NotFound, Forbidden,
    ReauthenticationRequired."""
    step_up.check(ctx, Act.IDENTITIES)
    user = accounts.get_managed(unit, ctx, user_id, own="Another Admin must confirm your own linked accounts")
    accounts.check_is_admin(unit, ctx, "Only an Admin can confirm a linked account")
    providers.confirm(unit, user.id, identity, ctx.caller.actor, ctx.now)
    audit.record(unit, ctx, Event.IDENTITY_CONFIRMED, f"user:{user.id}", identity=identity)


def _unlinked(unit: TenantUnit, ctx: RequestContext, user_id: int, identity: int, ended: int) -> None:
    detail = {"identity": identity, "sessions_ended": ended}
    audit.record(unit, ctx, Event.IDENTITY_UNLINKED, f"user:{user_id}", **detail)


# Linking starts with a request that changes data, which the cross-site rule protects, not with a link that anyone could
# send. Otherwise a user who follows such a link would give another person access to their account.


def offered(unit: TenantUnit) -> list[Provider]:
    """Lists the client's providers at which users sign in."""
    return [one for one in providers.list_all(unit) if one.disabled_at is None and KINDS[one.kind].start]


async def begin_linking(ctx: RequestContext, name: str, return_to: str) -> SignInStart:
    """Starts linking for the caller's session. Raises NotFound, SsoFailed, Conflict, ProviderUnavailable,
    ReauthenticationRequired, and ValidationError for an address that is not listed."""
    step_up.check(ctx, Act.IDENTITIES)
    user = ctx.user

    def work(unit: SystemUnit) -> ProviderChoice:
        provider = providers.get(unit.of(user.tenant_id), name)
        if provider.disabled_at is not None:
            raise SsoFailed(_("This sign-in method is turned off"), reason=SWITCHED_OFF)
        tenant = tenants.get(unit, user.tenant_id)
        address = return_address(tenant, provider, return_to, roles=user.roles)
        return ProviderChoice(tenant, provider, FlowRequest(address, link_session_id=user.session_id))

    return await begin_chosen(ctx, await ctx.services.store.read(work))


async def begin_chosen(ctx: RequestContext, chosen: ProviderChoice, login_hint: str = "") -> SignInStart:
    """Starts at the provider that a signed-in user chose. Raises the errors of :meth:`.kind.Kind.begin`, and Conflict
    for a provider without a sign-in page."""
    kind = KINDS[chosen.provider.kind]
    if not kind.start:
        raise Conflict(_("This provider has no sign-in page"))
    return await kind.begin(ctx, chosen, login_hint)
