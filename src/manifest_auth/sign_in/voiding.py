"""What others may have planted in an account ends: before it becomes an Admin's, and before a provider's person gets it
by the address alone (docs/decisions/0034-gain-of-admin.md).

Everything that lets somebody in later is in one place here, so that a new way in joins both. The password is the
exception: ``users`` takes it away with the gain itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from manifest_auth import audit, claims, links, providers, sessions, users
from manifest_auth.audit import Event, Origin
from manifest_auth.context import Context
from manifest_auth.providers import Identity, Provider
from manifest_auth.sign_in import flows, origins
from manifest_auth.store import TenantUnit
from manifest_auth.users import User


class Voided(NamedTuple):
    """What ended. ``kept``: ids of the identities that stay; ``granted``: mask of the roles that only groups of those
    had added that went."""

    kept: Sequence[int]
    granted: int
    counts: dict[str, Any]


def void(unit: TenantUnit, user: User, reason: str, now: int, *, but: int = 0) -> Voided:
    """Ends all ways into the account except the password, and the identities that are proved (``but``: that one too).
    ``user``: locked. ``reason``: why its sessions ended."""
    sifted = providers.unlink_unproved(unit, user.id, user.email, claims.domain_counts, but=but)
    counts = {
        "sessions": sessions.end_all(unit, user.id, reason, now),
        "flows": flows.end_of(unit, user.id),
        "links": links.close(unit, user.id, now),
        "address_changes": users.email_changes.close_all(unit, user.id, now),
        "devices": origins.forget(unit, user.id),
        "identities": sifted.gone,
    }
    return Voided(sifted.kept, sifted.granted, counts)


@dataclass(slots=True)
class Gain:
    """Voids an account that gains the role Admin, and writes it down; handed to :func:`users.set_roles` and
    :func:`users.restore`. ``path``: how the role is gained; ``by``: who gives it, as the trail names one; ``but``: an
    identity that was found to be proved."""

    who: Context | Origin
    path: str
    by: str
    but: int = 0
    voided: Voided | None = None

    def __call__(self, unit: TenantUnit, user: User) -> None:
        now = self.who.at if isinstance(self.who, Origin) else self.who.now
        self.voided = void(unit, user, "became_admin", now, but=self.but)
        void_of = {**self.voided.counts, "password": user.password_hash is not None}
        detail = {"path": self.path, "by": self.by, "void": void_of, "identities_kept": len(self.voided.kept)}
        audit.record(unit, self.who, Event.ADMIN_GAINED, f"user:{user.id}", **detail)

    @property
    def shuts_out(self) -> bool:
        """Whether there was a gain, and no way into the account is left."""
        return self.voided is not None and not self.voided.kept


def no_gain(unit: TenantUnit, user: User) -> None:
    """Of a change in ``unit`` that takes roles away and gives none."""
    raise AssertionError(f"user {user.id} gains the role Admin by a change that gives no role")


def gain_by_groups(ctx: Context, provider: Provider, identity: Identity) -> Gain:
    """Of a sign-in that brings the role; its identity stays."""
    return Gain(ctx, "groups", f"provider:{provider.id}", but=identity.id)


def drop_credentials(unit: TenantUnit, ctx: Context, provider: Provider, user: User) -> tuple[User, Voided]:
    """Before a person is linked to the account by the address alone: whoever had the account before the owner of the
    address came keeps no way in. A password stays that was chosen by a link in an e-mail to that address."""
    drops = user.password_hash is not None and not users.password_is_proved(user)
    after = users.drop_password(unit, user) if drops else user
    voided = void(unit, user, "linked_by_domain", ctx.now)
    detail = {"provider": provider.id, "void": {**voided.counts, "password": drops}}
    audit.record(unit, ctx, Event.CREDENTIALS_DROPPED, f"user:{user.id}", **detail, identities_kept=len(voided.kept))
    return after, voided
