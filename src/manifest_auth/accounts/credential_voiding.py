"""Voids credentials that another person might have planted in an account.

This runs before the account becomes an Admin's, before a provider's person is linked to it by email address
(docs/decisions/0034-gain-of-admin.md), and when the owner undoes an email change.

This module is the only place that lists all kinds of credentials, so that new kinds are covered in every case. The
password is an exception: ``users`` removes it in the same step as the change of roles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from manifest_auth import audit, providers
from manifest_auth.accounts import badges, email_changes, factors, one_time_links, users
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.context import Request
from manifest_auth.errors import Conflict
from manifest_auth.providers import Identity, Provider, sign_in_flows
from manifest_auth.runtime.mail import RemovedData
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import claims
from manifest_auth.throttle import throttle

IN_DOUBT = (
    "The user's email address was changed within the last week, and not by an Admin. An Admin "
    "must set the address first, even if it stays the same"
)


class Voided(NamedTuple):
    """The ended credentials. ``kept`` contains IDs of the identities that stay, and ``granted`` is a bit mask of the
    roles that only groups of the unlinked identities had added. ``counts`` is for the audit trail, ``removed`` for the
    user."""

    kept: Sequence[int]
    granted: int
    counts: dict[str, Any]
    removed: RemovedData


def void(
    unit: TenantUnit, user: User, reason: str, now: int, *, but: int = 0, undo_ends: bool = False, since: int = 0
) -> Voided:
    """Ends all credentials of the account except the password, verified identities, and the identity ``but``. ``user``
    must be locked. ``reason`` is why its sessions ended. ``undo_ends`` also prevents undoing confirmed email changes.
    ``since`` (milliseconds) keeps factors, identities, badges, and a PIN that were added before that time."""
    changes = email_changes
    kept, gone, granted = providers.unlink_unproved(
        unit, user.id, user.email, claims.domain_counts, but=but, since=since
    )
    dropped = factors.drop_all(unit, user.id, reason, now, since=since)
    ended, pin = badges.drop_all(unit, user.id, now, since=since)
    counts = {
        "sessions": dropped.sessions,
        "factors": dropped.factors,
        "recovery_codes": dropped.recovery_codes,
        "flows": sign_in_flows.delete_of_user(unit, user.id),
        "links": one_time_links.close(unit, user.id, now),
        "address_changes": (changes.close_all if undo_ends else changes.close_pending)(unit, user.id, now),
        "devices": throttle.forget_origins(unit, user.id),
        "badges": ended,
        "pin": pin,
        "identities": gone,
    }
    removed = RemovedData(
        app=dropped.app,
        passkeys=dropped.passkeys,
        recovery_codes=dropped.recovery_codes,
        identities=gone,
        badges=ended,
        pin=pin,
    )
    return Voided(kept, granted, counts, removed)


@dataclass(slots=True)
class AdminGain:
    """Voids an account that becomes an Admin's, and records it. Pass it to :func:`users.set_roles` and
    :func:`users.restore`. ``path`` is how the user gets the role, ``by`` is the granting actor, as in the audit trail,
    and ``but`` is a verified identity to keep. Raises Conflict if the address is in doubt."""

    who: Request
    path: str
    by: str
    but: int = 0
    voided: Voided | None = None

    def __call__(self, unit: TenantUnit, user: User) -> None:
        now = self.who.now
        if address_is_in_doubt(unit, user, now):
            raise Conflict(IN_DOUBT)
        self.voided = void(unit, user, "became_admin", now, but=self.but, undo_ends=True)
        void_of = {**self.voided.counts, "password": user.password_hash is not None}
        detail = {"path": self.path, "by": self.by, "void": void_of, "identities_kept": len(self.voided.kept)}
        audit.record(unit, self.who, Event.ADMIN_GAINED, f"user:{user.id}", **detail)

    @property
    def leaves_no_access(self) -> bool:
        """Whether the user became an Admin and has no credentials left."""
        return self.voided is not None and not self.voided.kept


def address_is_in_doubt(unit: TenantUnit, user: User, now: int) -> bool:
    """Whether a user who isn't an Admin changed the account's address within the last week, so the mailbox might be
    that user's. An Admin who sets the address, even to the same one, ends the doubt."""
    change = email_changes.latest(unit, user.id, now)
    return change is not None and not is_admin_actor(unit, change.started_by)


def is_admin_actor(unit: TenantUnit, actor: str) -> bool:
    """Whether an actor (as in the audit trail) is a system admin, the command line, or currently an Admin of the
    client. Only changes by these actors are trusted for an Admin's account."""
    kind, _, number = actor.partition(":")
    maker = users.find(unit, int(number)) if kind == "user" else None
    return kind in ("admin", "system") or (maker is not None and maker.is_admin)


def no_gain(unit: TenantUnit, user: User) -> None:
    """Serves as ``gain`` for a change that only removes roles. Raises AssertionError, because it can't make anyone an
    Admin."""
    raise AssertionError(f"user {user.id} gains the role Admin by a change that gives no role")


def gain_by_groups(ctx: Request, provider: Provider, identity: Identity) -> AdminGain:
    """Serves as ``gain`` for a sign-in in which groups grant the role. Keeps the identity that signed in."""
    return AdminGain(ctx, "groups", f"provider:{provider.id}", but=identity.id)


def drop_credentials(unit: TenantUnit, ctx: Request, user: User, **by: int) -> tuple[User, Voided]:
    """Voids a previous holder's credentials, before a person is linked to the account by address. Keeps a password that
    was set with a link emailed to that address. ``by`` is the provider or the connection, for the audit trail."""
    drops = user.password_hash is not None and not users.password_is_proved(user)
    after = users.drop_password(unit, user) if drops else user
    voided = void(unit, user, "linked_by_domain", ctx.now)
    detail = {"void": {**voided.counts, "password": drops}, "identities_kept": len(voided.kept)}
    audit.record(unit, ctx, Event.CREDENTIALS_DROPPED, f"user:{user.id}", **by, **detail)
    return after, voided
