"""One's own passkeys: added, renamed and removed by their signed-in owner, who is asked for a recent proof."""

from __future__ import annotations

from typing import Any

from manifest_auth import audit, tenants
from manifest_auth.accounts import factors, mail_queue, users
from manifest_auth.accounts.factors import passkey_rows
from manifest_auth.accounts.factors.passkey_rows import Passkey
from manifest_auth.accounts.users import User
from manifest_auth.audit import Act, Event
from manifest_auth.errors import NotFound, ValidationError
from manifest_auth.protocols import webauthn
from manifest_auth.protocols.webauthn import WebauthnRefused
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.passkeys import ceremonies, relying_party
from manifest_auth.sign_in.passkeys.ceremonies import Added
from manifest_auth.sign_in.second_factor import gate
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import Tenant, step_up
from manifest_auth.text import fields

_WRONG = "The browser's answer does not fit: start again"


async def begin(ctx: RequestContext) -> dict[str, Any]:
    """What the caller's browser needs to make a passkey. Raises ValidationError where the client allows none, Conflict
    where passkeys are off, or the caller has as many as one may have."""
    step_up.check(ctx, Act.FACTORS)
    caller = ctx.user

    def work(unit: SystemUnit) -> dict[str, Any]:
        tenant, user = _who_may_add(unit, ctx)
        return ceremonies.registration_options(
            unit, ctx, tenant, user, relying_party.new_challenge(ctx, "add", caller.session_id)
        )

    return await ctx.services.store.write(work)


async def add(ctx: RequestContext, credential: dict[str, Any], name: str) -> Added:
    """Adds the passkey that the caller's browser made; the caller's other sessions end. Raises ValidationError for a
    wrong answer or name, Conflict as :func:`begin` and for a credential that is registered already."""
    step_up.check(ctx, Act.FACTORS)
    await webauthn.load()
    caller = ctx.user

    def work(unit: SystemUnit) -> Added:
        tenant, user = _who_may_add(unit, ctx)
        try:
            challenge = webauthn.challenge_of(credential)
            if why := relying_party.why_not_valid(ctx, "add", caller.session_id, challenge):
                raise WebauthnRefused(why)
            added = ceremonies.add(unit, ctx, tenant, user, challenge, credential, name, but=caller.session_id)
        except WebauthnRefused as refused:
            raise ValidationError(details=[("credential", _WRONG)], reason=f"passkey: {refused}") from None
        if not relying_party.use_challenge(unit, challenge):
            refusal = ValidationError(details=[("credential", _WRONG)], reason="passkey: challenge used before")
            refusal.replay = "passkey"
            raise refusal
        gate.enrolled(unit.of(tenant.id), ctx, "passkey")
        return added

    return await ctx.services.store.write(work)


def _who_may_add(unit: SystemUnit, ctx: RequestContext) -> tuple[Tenant, User]:
    """Client and locked user of the caller. Raises ValidationError where the client allows no passkeys."""
    tenant = tenants.get(unit, ctx.user.tenant_id)
    user = users.get(unit.of(tenant.id), ctx.user.user_id, lock=True)
    gate.check_method(ctx, tenants.settings_of(tenant.settings), "passkey")
    return tenant, user


async def accepted(ctx: RequestContext) -> dict[str, Any] | None:
    """What the caller's browser needs to know which of the caller's passkeys work here, so that it offers no others.
    None where none ever did."""
    caller = ctx.user

    def work(unit: SystemUnit) -> dict[str, Any] | None:
        bound, rp_id = unit.of(caller.tenant_id), relying_party.id_in_force(unit, ctx.services.settings)
        handle = passkey_rows.handle_of(bound, caller.user_id)
        if not rp_id or handle is None:
            return None
        rows = passkey_rows.list_all(bound, caller.user_id)
        return webauthn.accepted(rp_id, handle, [row.credential_id for row in rows if row.rp_id == rp_id])

    return await ctx.services.store.read(work)


async def rename(ctx: RequestContext, passkey_id: str, name: str) -> Passkey:
    """Gives one of the caller's passkeys another name. Raises NotFound, ValidationError."""
    step_up.check(ctx, Act.FACTORS)
    caller = ctx.user
    fields.PASSKEY_NAME._replace(least=1).check(name, "name")

    def work(unit: SystemUnit) -> Passkey:
        bound = unit.of(caller.tenant_id)
        if not passkey_rows.rename(bound, caller.user_id, passkey_id, name):
            raise NotFound()
        audit.record(bound, ctx, Event.PASSKEY_RENAMED, caller.actor, passkey=passkey_id, name=name)
        found = passkey_rows.get(bound, caller.user_id, passkey_id)
        assert found is not None, "it was renamed in this transaction"
        return found

    return await ctx.services.store.write(work)


async def remove(ctx: RequestContext, passkey_id: str) -> None:
    """Removes one of the caller's passkeys; the caller's other sessions end. Raises NotFound, and Conflict for the last
    factor of an account that must have one."""
    step_up.check(ctx, Act.FACTORS)
    caller = ctx.user

    def work(unit: SystemUnit) -> None:
        bound = unit.of(caller.tenant_id)
        tenant, user = tenants.get(unit, caller.tenant_id), users.get(bound, caller.user_id, lock=True)
        if passkey_rows.get(bound, user.id, passkey_id) is None:
            raise NotFound()
        passkey_rows.drop(bound, user.id, passkey_id)
        factors.check_removable(gate.usable(bound, ctx, user), user.roles, tenants.settings_of(tenant.settings))
        factors.removed(bound, user.id, user.factors, ctx.now, but=caller.session_id)
        mail_queue.tell(bound, ctx, user, Event.PASSKEY_REMOVED, passkey=passkey_id)

    await ctx.services.store.write(work)
