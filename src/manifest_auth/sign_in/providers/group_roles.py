"""Roles that a provider's groups grant and remove, and the rank rules that override them.

Each identity stores the roles that its groups added, so that leaving a group removes only those. Roles that an
administrator or another provider granted stay.
"""

from __future__ import annotations

from collections.abc import Sequence

from manifest_auth import audit, providers
from manifest_auth.accounts import credential_voiding, users
from manifest_auth.accounts.users import User, VoidAccount
from manifest_auth.audit import Event
from manifest_auth.errors import NoSeat, Reason, SsoFailed
from manifest_auth.permissions import Role, role_names
from manifest_auth.providers import Identity, Issuer, Provider, ProviderEmail, Unlinked
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import claims
from manifest_auth.text.languages import marked as _

_NO_SEAT = _("No license seat is available. Contact your administrator.")
RANK = Reason(
    "the account belongs to an Admin, and a User Admin last changed the provider",
    cause="See [Protection of Admin accounts](README.md#protection-of-admin-accounts)",
    cure="An Admin saves the provider, or invites the user",
)
_FULL = Reason(
    "no seat: …", cause="The license has no free seat of that kind", cure="See [Seats](../on-premise.md#seats)"
)


def check_rank(provider: Provider, roles: int) -> None:
    """Rejects Admin accounts at a provider that a User Admin changed last, because a provider's configuration decides
    who its people are (docs/decisions/0018-providers-and-rank.md). Runs before any write, since a refusal keeps earlier
    writes."""
    if roles & Role.ADMIN.bit and not provider.reaches_admins:
        raise SsoFailed(reason=RANK)


def grant(
    unit: TenantUnit, ctx: RequestContext, provider: Provider, identity: Identity, address: ProviderEmail, mapped: int
) -> User:
    """Returns the user with the roles that the provider's groups grant now (``mapped``), and without those that they no
    longer grant. Roles that an administrator or another provider granted stay. ``address`` is the one that the provider
    sends now. Raises SsoFailed."""
    user = users.get(unit, identity.user_id, lock=True, admins=bool(identity.granted & ~mapped & Role.ADMIN.bit))
    check_rank(provider, user.roles)
    mapped = _without_withheld_admin(unit, ctx, provider, identity, address, user, mapped)
    gone = identity.granted & ~mapped
    already = mapped & user.roles & ~identity.granted
    others = providers.granted_to(unit, identity.user_id, but=identity.id) if gone or already else 0
    gone = _keep_last_admin(unit, user, gone & ~others)
    kept = identity.granted & user.roles & ~gone & ~others
    # A role that two providers grant is removed when the last of them removes it.
    granted = mapped & (identity.granted | ~user.roles | others) | kept
    gain = credential_voiding.gain_by_groups(ctx, provider, identity)
    after = _set_roles(unit, ctx, user, user.roles & ~gone | mapped, provider.id, gain)
    providers.record_sign_in(unit, identity, address, granted, ctx.now)
    if gain.voided is not None and (gone := gain.voided.granted & ~mapped):
        after = _set_roles(unit, ctx, after, after.roles & ~gone, provider.id, gain)
    return after


def reset_for_new_person(unit: TenantUnit, ctx: RequestContext, user_id: int, **by: int) -> User:
    """Returns the user before a person is linked by email address. Existing credentials end, and so do roles that
    groups of other identities had added. ``by``: see :func:`.credential_voiding.drop_credentials`."""
    user = users.get(unit, user_id, lock=True, admins=True)
    after, voided = credential_voiding.drop_credentials(unit, ctx, user, **by)
    return take_back(unit, ctx, after, voided.granted, by.get("provider"))


def take_back(unit: TenantUnit, ctx: RequestContext, user: User, granted: int, provider_id: int | None = None) -> User:
    """Returns the user without the roles that only groups of unlinked identities had added (bit mask ``granted``).
    ``user`` is locked, with the client's Admins."""
    roles = user.roles & ~_keep_last_admin(unit, user, granted)
    return _set_roles(unit, ctx, user, roles, provider_id, credential_voiding.no_gain)


def _without_withheld_admin(
    unit: TenantUnit,
    ctx: RequestContext,
    provider: Provider,
    identity: Identity,
    address: ProviderEmail,
    user: User,
    mapped: int,
) -> int:
    """Returns the roles that the groups can grant. Admin is included only if the identity is verified as the user's;
    this gives an existing Admin nothing new."""
    if not mapped & ~user.roles & Role.ADMIN.bit:
        return mapped
    proved = providers.is_proved(unit, provider, identity, address, user.email, claims.domain_counts)
    if proved and not credential_voiding.address_is_in_doubt(unit, user, ctx.now):
        return mapped
    audit.record(unit, ctx, Event.ADMIN_ROLE_WITHHELD, f"user:{user.id}", provider=provider.id, identity=identity.id)
    return mapped & ~Role.ADMIN.bit


def _keep_last_admin(unit: TenantUnit, user: User, gone: int) -> int:
    """Returns the roles that can be removed, since a client keeps its last active Admin."""
    if user.roles & gone & Role.ADMIN.bit and users.is_last_admin(unit, user):
        return gone & ~Role.ADMIN.bit
    return gone


def _set_roles(
    unit: TenantUnit, ctx: RequestContext, user: User, roles: int, provider_id: int | None, void_account: VoidAccount
) -> User:
    if roles == user.roles:
        return user
    try:  # runs first, since a refusal keeps earlier writes
        after = users.set_roles(unit, ctx.services.licence, user, roles, void_account, ctx.now)
    except NoSeat as error:
        raise no_seat(error) from error
    detail = {"before": role_names(user.roles), "after": role_names(roles), "provider": provider_id}
    audit.record(unit, ctx, Event.USER_ROLES_CHANGED, f"user:{user.id}", **detail)
    return after


def check_seat(unit: TenantUnit, ctx: RequestContext, user: User, mapped: int) -> None:
    """Checks that the license has a seat for the user with these added roles. Runs before the link is written, since a
    refusal keeps earlier writes. Raises SsoFailed."""
    if user.deactivated_at is None:
        try:
            ctx.services.licence.seat(unit, user.roles, user.roles | mapped)
        except NoSeat as error:
            raise no_seat(error) from error


def no_seat(error: NoSeat) -> SsoFailed:
    """Returns the refusal for a person who signs in, without the number of seats."""
    return SsoFailed(_NO_SEAT, reason=_FULL.with_(error.message))


def unlink_all(unit: TenantUnit, ctx: RequestContext, given: Sequence[Identity], deleted: Issuer) -> None:
    """Unlinks identities like :func:`unlink`, for a provider that is being deleted, in order of users. All users are
    locked before anything is recorded."""
    for user_id in sorted({one.user_id for one in given}):
        users.get(unit, user_id, lock=True, admins=any(one.granted & Role.ADMIN.bit for one in given))
    for one in given:
        unlink(unit, ctx, one.user_id, one.id, deleted=deleted)


def unlink(
    unit: TenantUnit, ctx: RequestContext, user_id: int, identity_id: int, *, deleted: Issuer | None = None
) -> Unlinked:
    """Unlinks an identity from a user, with the roles that its groups granted. ``deleted`` is the same as for
    :func:`.identities.unlink`. Raises NotFound."""
    gone = providers.unlink(unit, user_id, identity_id, deleted=deleted)
    user = users.get(unit, user_id, lock=True, admins=bool(gone.granted & Role.ADMIN.bit))
    take_back(unit, ctx, user, gone.granted & ~providers.granted_to(unit, user_id), gone.provider_id)
    return gone
