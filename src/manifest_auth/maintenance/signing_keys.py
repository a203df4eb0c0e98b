"""Rotation and retirement of signing keys, recorded in the installation's audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from manifest_auth import audit
from manifest_auth.audit import Act, Event
from manifest_auth.context import Acting
from manifest_auth.errors import Conflict, existing
from manifest_auth.runtime.settings import Settings, variable
from manifest_auth.services import RequestContext
from manifest_auth.sessions import tokens
from manifest_auth.sessions.tokens import Algorithm, KeyRing, ListedKey, Purpose
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import step_up
from manifest_auth.text.languages import marked as _

_TIMES = ("retired_at", "expires_at")


def ignored_algorithm(settings: Settings, used: str) -> str | None:
    """Returns the message if the setting and the database name different algorithms. ``used`` is the algorithm of the
    key that signs users' access tokens."""
    if settings.token_algorithm in ("", used):
        return None
    return (
        f"{variable('token_algorithm')} is {settings.token_algorithm}, but it applies only to new "
        f"databases, and this one uses {used}; remove the setting, or run manifest-auth keys "
        f"rotate --algorithm {settings.token_algorithm}"
    )


def rotate(
    unit: SystemUnit,
    by: Acting,
    ring: KeyRing,
    purposes: Sequence[Purpose] = tuple(Purpose),
    algorithm: Algorithm | None = None,
) -> tuple[Any, ...]:
    """Creates new keys for these purposes. The old ones still verify what they signed. ``algorithm`` changes the
    algorithm of users' access tokens. Returns the purposes, except for apps without any key yet. Raises
    ReauthenticationRequired."""
    step_up.check(by, Act.KEYS)
    keys = ring.rotate(unit, purposes, algorithm)
    detail = {"algorithm": algorithm} if algorithm else {}
    audit.record_installation(unit, by, Event.KEYS_ROTATED, purposes=list(keys), keys=keys, **detail)
    return tuple(keys)


def retire(unit: SystemUnit, by: Acting, ring: KeyRing, key_id: str, *, at_once: bool) -> ListedKey:
    """Retires a key: it no longer signs and, with ``at_once``, no longer verifies. Returns the changed key. Raises
    NotFound, Conflict, or ReauthenticationRequired."""
    step_up.check(by, Act.KEYS)
    before = existing(tokens.find_key(unit, key_id))
    if not ring.retire(unit, before, at_once=at_once):
        raise Conflict(_("The key has expired") if at_once else _("The key is already retired"))
    after = tokens.find_listed_key(unit, key_id)
    assert after is not None  # a key that was just retired isn't deleted yet
    detail = {"before": {t: getattr(before, t) for t in _TIMES}, "after": {t: getattr(after, t) for t in _TIMES}}
    audit.record_installation(unit, by, Event.KEY_RETIRED, f"key:{key_id}", purpose=before.purpose, **detail)
    return after


async def rotate_now(ctx: RequestContext, purposes: Sequence[Purpose]) -> tuple[Any, ...]:
    """Like :func:`rotate`, but in its own transaction. This process then signs with the new keys."""
    ring = ctx.services.keys
    rotated = await ctx.services.store.write(lambda unit: rotate(unit, ctx, ring, purposes))
    await ring.refresh()
    return rotated


async def retire_now(ctx: RequestContext, key_id: str, *, at_once: bool) -> ListedKey:
    """Like :func:`retire`, but in its own transaction. This process then applies the change."""
    ring = ctx.services.keys
    retired = await ctx.services.store.write(lambda unit: retire(unit, ctx, ring, key_id, at_once=at_once))
    await ring.refresh()
    return retired
