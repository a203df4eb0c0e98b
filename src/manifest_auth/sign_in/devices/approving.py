"""A person lets a device in, or refuses it: by the code that the device shows, or by one that it scanned.

Approval is the act that needs a recent proof, the same network, and a role that a device may have. A pairing by
scanning asks for the proof when it begins as well, and is approved by the session that began it.
"""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import audit, sessions, tenants
from manifest_auth.accounts import device_apps, users
from manifest_auth.accounts.readers import reader
from manifest_auth.accounts.users import User
from manifest_auth.audit import Act, Event
from manifest_auth.errors import Conflict, Forbidden, NotFound
from manifest_auth.permissions import Role, mask_of, roles_of
from manifest_auth.runtime import mail
from manifest_auth.runtime.settings import HOUR
from manifest_auth.services import RequestContext
from manifest_auth.sessions import device_sessions
from manifest_auth.sign_in.devices import codes, grants, limits, same_network
from manifest_auth.sign_in.devices.grants import Approval, Grant
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.tenants.device_rules import PairingRules
from manifest_auth.text.canonical import when
from manifest_auth.text.languages import marked as _
from manifest_auth.text.scan_codes import plain_letters

_OVER = _("The device waits no more: begin anew on the device")


class AskingDevice(NamedTuple):
    """A device that waits, as its person sees it. ``name``: as it calls itself, may be empty; ``asked_at``,
    ``ends_at``: milliseconds, of its request and of the session that it would get; ``roles``: it would have."""

    app: str
    name: str
    address: str
    same_network: bool
    network_needed: bool
    asked_at: int
    ends_at: int
    roles: tuple[Role, ...]


def rules_of(ctx: RequestContext) -> PairingRules:
    """The rules of the caller's client."""
    return tenants.settings_of(ctx.user.tenant_settings).pairing


def shown(unit: TenantUnit, ctx: RequestContext, grant: Grant) -> AskingDevice:
    """The device of a grant, as the caller sees it."""
    rules, settings = rules_of(ctx), ctx.services.settings
    return AskingDevice(
        app=device_apps.names(unit).get(grant.app_id, grant.app_id),
        name=grant.device_name,
        address=grant.address,
        same_network=same_network.is_same(settings, rules, grant.address, ctx.address),
        network_needed=rules.same_network,
        asked_at=grant.created_at,
        ends_at=_ends_at(ctx, rules),
        roles=roles_of(ctx.user.held_roles & mask_of(list(rules.roles))),
    )


async def look(ctx: RequestContext, user_code: str) -> AskingDevice:
    """The device that shows a code. Raises NotFound, Conflict where the client does not let devices in so, RateLimited
    after wrong codes."""
    grant = await _found(ctx, user_code)
    return await ctx.store.read(lambda unit: shown(unit, ctx, grant))


async def approve(ctx: RequestContext, user_code: str) -> None:
    """Lets the device in that shows a code. Raises as :func:`look`, ReauthenticationRequired, and Forbidden in another
    network or without a role for devices."""
    step_up.check(ctx, Act.PAIRING)
    grant = await _found(ctx, user_code)
    await ctx.store.write(lambda unit: let_in(unit, ctx, grant, "code"))


async def deny(ctx: RequestContext, user_code: str) -> None:
    """Refuses the device that shows a code. Raises as :func:`look`."""
    grant = await _found(ctx, user_code)
    await ctx.store.write(lambda unit: reject(unit, ctx, grant, "asked"))


def check_may(unit: TenantUnit, ctx: RequestContext) -> User:
    """The caller's account, which may let a device in. Raises Forbidden, and Conflict where too many are signed in."""
    user = users.get(unit, ctx.user.user_id, lock=True)
    if not user.roles & mask_of(list(rules_of(ctx).roles)):
        raise Forbidden(_("None of your roles is for a device"))
    if device_sessions.count_of(unit, user.id, ctx.now) >= limits.DEVICES:
        raise Conflict(_("Ten devices are signed in: end one first"))
    return user


def let_in(unit: TenantUnit, ctx: RequestContext, grant: Grant, how: str) -> None:
    """Approves a grant, and tells the user by e-mail. ``how``: ``code`` or ``scan``. Raises Forbidden, Conflict."""
    rules, user = rules_of(ctx), check_may(unit, ctx)
    same_network.check(ctx.services.settings, rules, grant.address, ctx.address)
    cap, ends_at = mask_of(list(rules.roles)), _ends_at(ctx, rules)
    through = sessions.provider_of(unit, ctx.user.session_id)
    if not grants.approve(unit, grant, Approval(user.id, cap, ends_at, through), ctx.now):
        raise Conflict(_OVER)
    given = [role.value for role in roles_of(user.roles & cap)]
    detail = {"app": grant.app_id, "name": grant.device_name, "device_address": grant.address, "by": how}
    audit.record(unit, ctx, Event.DEVICE_APPROVED, f"user:{user.id}", **detail, roles=given)
    queue = ctx.services.mail_queue
    if not queue.is_set_up:
        return
    email = mail.device_paired(reader(user, tenants.get(unit, unit.tenant_id)), grant.address, when(ends_at))
    queue.add(unit, ctx, email, "device_approved", f"user:{user.id}")


def reject(unit: TenantUnit, ctx: RequestContext, grant: Grant, why: str) -> None:
    """Denies a grant for good. ``why``: ``asked``, ``match`` or ``replaced``. Raises Conflict where it is over."""
    if not grants.deny(unit, grant.key, ctx.now):
        raise Conflict(_OVER)
    detail = {"app": grant.app_id, "name": grant.device_name, "device_address": grant.address, "why": why}
    audit.record(unit, ctx, Event.DEVICE_DENIED, f"user:{ctx.user.user_id}", **detail)


def _ends_at(ctx: RequestContext, rules: PairingRules) -> int:
    return ctx.now + rules.hours * HOUR * 1000


async def _found(ctx: RequestContext, user_code: str) -> Grant:
    """The pending grant of a code in the caller's client. A wrong code stays counted. Raises as :func:`look`."""
    if not rules_of(ctx).code:
        raise Conflict(_("Your organisation does not let devices in by code: pair by scanning"))
    tenant_id, typed = ctx.user.tenant_id, limits.typed(ctx.user.tenant_id, ctx.user.user_id)
    await limits.count(ctx, typed)
    await ctx.services.keys.ensure_current()
    marks = codes.marks(ctx.services, "user code", tenant_id, plain_letters(user_code))

    def work(unit: SystemUnit) -> Grant:
        found = grants.find_by_user_code(unit.of(tenant_id), marks, ctx.now)
        if found is None:
            raise NotFound(_("No device shows this code"))
        limits.was_right(unit, ctx, typed)
        return found

    return await ctx.services.store.write_quickly(work)
