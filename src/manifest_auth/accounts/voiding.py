"""What others may have planted in an account ends: before it becomes an Admin's, and before a provider's person gets it
by the address alone (docs/decisions/0034-gain-of-admin.md).

Everything that lets somebody in later is in one place here, so that a new way in joins both. The password is the
exception: ``users`` takes it away with the gain itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from manifest_auth import audit, providers, sessions
from manifest_auth.accounts import one_time_links, users
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event, Origin
from manifest_auth.context import Request
from manifest_auth.errors import Conflict
from manifest_auth.providers import Identity, Provider, sign_in_flows
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import claims
from manifest_auth.throttle import origins

IN_DOUBT = (
    "The user's e-mail address was changed within the last week, and not by an Admin: an Admin sets the address first, "
    "to the same one if it is right"
)


class Voided(NamedTuple):
    """What ended. ``kept``: ids of the identities that stay; ``granted``: mask of the roles that only groups of those
    had added that went."""

    kept: Sequence[int]
    granted: int
    counts: dict[str, Any]


def void(unit: TenantUnit, user: User, reason: str, now: int, *, but: int = 0, undo_ends: bool = False) -> Voided:
    """Ends all ways into the account except the password, and the identities that are proved (``but``: that one too).
    ``user``: locked. ``reason``: why its sessions ended. ``undo_ends``: an address that took effect cannot be undone
    any more either."""
    changes = users.email_changes
    sifted = providers.unlink_unproved(unit, user.id, user.email, claims.domain_counts, but=but)
    counts = {
        "sessions": sessions.end_all(unit, user.id, reason, now),
        "flows": sign_in_flows.end_of(unit, user.id),
        "links": one_time_links.close(unit, user.id, now),
        "address_changes": (changes.close_all if undo_ends else changes.close_pending)(unit, user.id, now),
        "devices": origins.forget(unit, user.id),
        "identities": sifted.gone,
    }
    return Voided(sifted.kept, sifted.granted, counts)


@dataclass(slots=True)
class Gain:
    """Voids an account that gains the role Admin, and writes it down; handed to :func:`users.set_roles` and
    :func:`users.restore`. ``path``: how the role is gained; ``by``: who gives it, as the trail names one; ``but``: an
    identity that was found to be proved. Raises Conflict where the address is in doubt."""

    who: Request | Origin
    path: str
    by: str
    but: int = 0
    voided: Voided | None = None

    def __call__(self, unit: TenantUnit, user: User) -> None:
        now = self.who.origin.at
        if address_is_in_doubt(unit, user, now):
            raise Conflict(IN_DOUBT)
        self.voided = void(unit, user, "became_admin", now, but=self.but, undo_ends=True)
        void_of = {**self.voided.counts, "password": user.password_hash is not None}
        detail = {"path": self.path, "by": self.by, "void": void_of, "identities_kept": len(self.voided.kept)}
        audit.record(unit, self.who, Event.ADMIN_GAINED, f"user:{user.id}", **detail)

    @property
    def shuts_out(self) -> bool:
        """Whether there was a gain, and no way into the account is left."""
        return self.voided is not None and not self.voided.kept


def address_is_in_doubt(unit: TenantUnit, user: User, now: int) -> bool:
    """Whether a user who is no Admin gave the account its present address within the last week: it may be a mailbox of
    theirs, and the one before as well. An Admin who sets the address, be it to the same one, ends the doubt."""
    change = users.email_changes.latest(unit, user.id, now)
    return change is not None and not is_an_admins(unit, change.started_by)


def is_an_admins(unit: TenantUnit, actor: str) -> bool:
    """Whether somebody whom the trail names so is a system admin or the command line, or an Admin here today: what
    concerns an Admin's account counts only then."""
    kind, _, number = actor.partition(":")
    maker = users.find(unit, int(number)) if kind == "user" else None
    return kind in ("admin", "system") or (maker is not None and maker.is_admin)


def no_gain(unit: TenantUnit, user: User) -> None:
    """Of a change in ``unit`` that takes roles away and gives none."""
    raise AssertionError(f"user {user.id} gains the role Admin by a change that gives no role")


def gain_by_groups(ctx: Request, provider: Provider, identity: Identity) -> Gain:
    """Of a sign-in that brings the role; its identity stays."""
    return Gain(ctx, "groups", f"provider:{provider.id}", but=identity.id)


def drop_credentials(unit: TenantUnit, ctx: Request, provider: Provider, user: User) -> tuple[User, Voided]:
    """Before a person is linked to the account by the address alone: whoever had the account before the owner of the
    address came keeps no way in. A password stays that was chosen by a link in an e-mail to that address."""
    drops = user.password_hash is not None and not users.password_is_proved(user)
    after = users.drop_password(unit, user) if drops else user
    voided = void(unit, user, "linked_by_domain", ctx.now)
    detail = {"provider": provider.id, "void": {**voided.counts, "password": drops}}
    audit.record(unit, ctx, Event.CREDENTIALS_DROPPED, f"user:{user.id}", **detail, identities_kept=len(voided.kept))
    return after, voided
