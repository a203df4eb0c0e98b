"""The person's side: approve or deny a device, by the code that it shows or by one that it scanned."""

from __future__ import annotations

import hmac
from typing import Literal

from msgspec import UNSET, UnsetType

from manifest_auth import audit, sessions, tenants
from manifest_auth.accounts import apps, users
from manifest_auth.accounts.mail_queue import reader
from manifest_auth.accounts.users import User
from manifest_auth.audit import Act, Event
from manifest_auth.errors import Conflict, Forbidden, NotFound, existing
from manifest_auth.permissions import mask_of, role_names
from manifest_auth.runtime.mail import emails
from manifest_auth.runtime.settings import HOUR, Settings, is_listed, networks_of, plain_address
from manifest_auth.services import RequestContext
from manifest_auth.sessions import device_sessions
from manifest_auth.sign_in.devices import grants
from manifest_auth.sign_in.devices.grants import CODE_MS, LIFE_MS, Grant, Pairing
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.tenants.rules import PairingRules, networks
from manifest_auth.text.canonical import when
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import Time, Wire
from manifest_auth.text.scan_codes import grouped_letters, plain_letters, random_letters
from manifest_auth.throttle.throttle import network_of

# A device and its person must be in the same network, which defeats codes that are sent to someone elsewhere. The same
# network means one address (IPv6: one /64), or both in a network that the client lists, or, if it lists none, both at
# private addresses. RFC 10027 (BCP 247) on the security of cross-device flows asks for such a check.

_LOOPBACK = networks_of("127.0.0.0/8,::1/128")


def is_same(settings: Settings, rules: PairingRules, one: str, other: str) -> bool:
    """Whether two addresses count as one network. A loopback address, which means an unlisted proxy or a test, is
    accepted if the public address is a loopback address too."""
    if plain_address(one) is None or plain_address(other) is None:
        return False
    if not settings.is_loopback and (is_listed(one, _LOOPBACK) or is_listed(other, _LOOPBACK)):
        return False
    if network_of(one) == network_of(other):
        return True
    listed = networks(rules)
    return is_listed(one, listed) and is_listed(other, listed)


# Approval requires re-authentication, the same network, and a role that a device can have. Pairing by scanning also
# requires re-authentication at its start, and only the session that started it can approve it.

_OVER = _("The request has expired. Start again on the device.")


class DeviceData(Wire, frozen=True):
    """The device as shown for approval. ``name``: the name that the device sent, or empty; ``roles``: the roles that it
    would have; ``endsAt``: when it would be signed out."""

    app: str
    name: str
    address: str
    same_network: bool
    asked_at: Time
    ends_at: Time
    roles: tuple[str, ...]


def rules_of(ctx: RequestContext) -> PairingRules:
    """Returns the rules of the caller's client."""
    return tenants.settings_of(ctx.user.tenant_settings).pairing


def shown(unit: TenantUnit, ctx: RequestContext, grant: Grant) -> DeviceData:
    """Returns the device of a grant, as the caller sees it."""
    rules, settings = rules_of(ctx), ctx.services.settings
    return DeviceData(
        app=apps.app_names(unit).get(grant.app_id, grant.app_id),
        name=grant.device_name,
        address=grant.address,
        same_network=is_same(settings, rules, grant.address, ctx.address),
        asked_at=when(grant.created_at),
        ends_at=when(_ends_at(ctx, rules)),
        roles=role_names(ctx.user.held_roles & mask_of(list(rules.roles))),
    )


async def look(ctx: RequestContext, user_code: str) -> DeviceData:
    """Returns the device that shows a code. Raises NotFound, Conflict if the client doesn't allow this kind of device
    sign-in, RateLimited after wrong codes."""
    grant = await _found(ctx, user_code)
    return await ctx.store.read(lambda unit: shown(unit, ctx, grant))


async def approve(ctx: RequestContext, user_code: str) -> None:
    """Approves the device that shows a code. Raises the errors of :func:`look`, ReauthenticationRequired, and Forbidden
    in another network or without a role for devices."""
    step_up.check(ctx, Act.PAIRING)
    grant = await _found(ctx, user_code)
    await ctx.store.write(lambda unit: let_in(unit, ctx, grant, "code"))


async def deny(ctx: RequestContext, user_code: str) -> None:
    """Rejects the device that shows a code. Raises the errors of :func:`look`."""
    grant = await _found(ctx, user_code)
    await ctx.store.write(lambda unit: reject(unit, ctx, grant, "asked"))


def check_may(unit: TenantUnit, ctx: RequestContext) -> User:
    """Returns the caller's account, if it can approve a device. Raises Forbidden, and Conflict if too many devices are
    signed in."""
    user = users.get(unit, ctx.user.user_id, lock=True)
    if not user.roles & mask_of(list(rules_of(ctx).roles)):
        raise Forbidden(_("None of your roles can be used on a device"))
    if device_sessions.count_of(unit, user.id, ctx.now) >= grants.DEVICES:
        raise Conflict(_("Ten devices are signed in. Sign one out first."))
    return user


def let_in(unit: TenantUnit, ctx: RequestContext, grant: Grant, how: str) -> None:
    """Approves a grant, and notifies the user by email. ``how``: ``code`` or ``scan``. Raises Forbidden, Conflict."""
    rules, user = rules_of(ctx), check_may(unit, ctx)
    if rules.same_network and not is_same(ctx.services.settings, rules, grant.address, ctx.address):
        raise Forbidden(_("The device is on a different network. Connect both to the same network."))
    cap, ends_at = mask_of(list(rules.roles)), _ends_at(ctx, rules)
    through = sessions.provider_of(unit, ctx.user.session_id)
    if not grants.approve(unit, grant, user.id, ctx.now, cap=cap, ends_at=ends_at, provider_id=through):
        raise Conflict(_OVER)
    given = list(role_names(user.roles & cap))
    detail = {"app": grant.app_id, "name": grant.device_name, "device_address": grant.address, "by": how}
    audit.record(unit, ctx, Event.DEVICE_APPROVED, f"user:{user.id}", **detail, roles=given)
    queue = ctx.services.mail_queue
    if not queue.is_set_up:
        return
    email = emails.device_paired(reader(user, tenants.get(unit, unit.tenant_id)), grant.address, when(ends_at))
    queue.add(unit, ctx, email, "device_approved", f"user:{user.id}")


def reject(unit: TenantUnit, ctx: RequestContext, grant: Grant, why: str) -> None:
    """Denies a grant permanently. ``why``: ``asked``, ``match`` or ``replaced``. Raises Conflict if it has ended."""
    if not grants.deny(unit, grant.key, ctx.now):
        raise Conflict(_OVER)
    detail = {"app": grant.app_id, "name": grant.device_name, "device_address": grant.address, "why": why}
    audit.record(unit, ctx, Event.DEVICE_DENIED, f"user:{ctx.user.user_id}", **detail)


def _ends_at(ctx: RequestContext, rules: PairingRules) -> int:
    return ctx.now + rules.hours * HOUR * 1000


async def _found(ctx: RequestContext, user_code: str) -> Grant:
    """Returns the pending grant of a code in the caller's client. A wrong code stays counted. Raises the errors of
    :func:`look`."""
    if not rules_of(ctx).code:
        raise Conflict(_("Your organization doesn't allow entering codes. Scan a code with the device instead."))
    tenant_id, typed = ctx.user.tenant_id, grants.count_typed(ctx.user.tenant_id, ctx.user.user_id)
    await grants.count(ctx, typed)
    await ctx.services.keys.ensure_current()
    marks = grants.marks(ctx.services, "user code", tenant_id, plain_letters(user_code))

    def work(unit: SystemUnit) -> Grant:
        found = grants.find_by_user_code(unit.of(tenant_id), marks, ctx.now)
        if found is None:
            raise NotFound(_("No device shows this code"))
        grants.was_right(unit, ctx, typed)
        return found

    return await ctx.services.store.write_quickly(work)


# A person shows a code, a device scans it, and the person reads two digits off the device. So there is no code that an
# attacker could send to a victim. The remaining risk is a victim who sends a picture of their own screen, which RFC
# 10027 calls session phishing. The one-minute limit, the network check and the digits protect against that.

State = Literal["waiting", "claimed", "approved", "denied", "expired", "done"]
_OF_GRANT: dict[str, State] = {
    grants.PENDING: "claimed",
    grants.APPROVED: "approved",
    grants.DENIED: "denied",
    grants.USED: "done",
}


class PairingCodeData(Wire, frozen=True):
    """``qr``: the text of the QR code; ``typed``: ten letters to enter instead, with the client's identifier;
    ``expiresAt``: when the code expires. Returned once."""

    id: str
    qr: str
    typed: str
    expires_at: Time


class PairingData(Wire, frozen=True):
    """``device``: the device that scanned the code. ``expired``: you can renew the code until ``renewableUntil``. After
    that, start again."""

    state: State
    expires_at: Time
    renewable_until: Time
    device: DeviceData | UnsetType = UNSET


async def begin_pairing(ctx: RequestContext) -> PairingCodeData:
    """Starts a pairing, and ends the oldest if four are open. Raises ReauthenticationRequired, Forbidden, Conflict."""
    step_up.check(ctx, Act.PAIRING)
    services, user, now = ctx.services, ctx.user, ctx.now
    if not rules_of(ctx).scan:
        raise Conflict(_("Your organization doesn't allow pairing by scanning"))
    await services.keys.ensure_current()
    scanned, typed = _new_code(ctx)
    pairing = Pairing(
        id=services.random.text(16),
        user_id=user.user_id,
        session_id=user.session_id,
        code=grants.hash_of(scanned),
        typed=_mark(ctx, typed),
        grant_key=None,
        created_at=now,
        code_ends_at=now + CODE_MS,
        expires_at=now + LIFE_MS,
    )

    def work(unit: TenantUnit) -> None:
        check_may(unit, ctx)
        open_ones = [
            one
            for one in grants.list_open_pairings(unit, user.user_id, now)
            if one.grant_key is None or _state(one, _grant_of(unit, one), now) in ("claimed", "approved")
        ]
        for old in open_ones[: max(0, len(open_ones) - grants.PAIRINGS + 1)]:
            _close(unit, ctx, old)
        grants.add_pairing(unit, pairing)
        audit.record(unit, ctx, Event.PAIRING_BEGUN, f"user:{user.user_id}", pairing=pairing.id)

    await ctx.store.write(work)
    return _shown(ctx, pairing.id, scanned, typed, pairing.code_ends_at)


async def renew_pairing(ctx: RequestContext, pairing_id: str) -> PairingCodeData:
    """Issues another code for a pairing that no device has claimed. Raises NotFound, Conflict."""
    await ctx.services.keys.ensure_current()
    (scanned, typed), now = _new_code(ctx), ctx.now

    def work(unit: TenantUnit) -> int:
        pairing = _own(unit, ctx, pairing_id)
        until = min(now + CODE_MS, pairing.expires_at)
        if not grants.renew_pairing(unit, pairing, grants.hash_of(scanned), _mark(ctx, typed), until, now):
            raise Conflict(_("This code was already used or has expired. Start again."))
        return until

    return _shown(ctx, pairing_id, scanned, typed, await ctx.store.write(work))


async def look_at_pairing(ctx: RequestContext, pairing_id: str) -> PairingData:
    """Returns the state of a pairing. Raises NotFound."""

    def work(unit: TenantUnit) -> PairingData:
        pairing = _own(unit, ctx, pairing_id)
        grant = _grant_of(unit, pairing)
        device = UNSET if grant is None else shown(unit, ctx, grant)
        state = _state(pairing, grant, ctx.now)
        return PairingData(state, when(pairing.code_ends_at), when(pairing.expires_at), device)

    return await ctx.store.read(work)


async def approve_pairing(ctx: RequestContext, pairing_id: str, digits: str) -> None:
    """Approves the device that claimed the pairing and shows these digits. Other digits deny it permanently. Raises
    NotFound, Conflict, Forbidden, ReauthenticationRequired. The re-authentication can be older than the pairing."""
    step_up.check(ctx, Act.PAIRING)

    def work(unit: TenantUnit) -> bool:
        grant = _grant_of(unit, _own(unit, ctx, pairing_id))
        if grant is None:
            raise Conflict(_("No device has scanned the code yet"))
        if not hmac.compare_digest(digits.strip().encode(), grant.digits.encode()):
            reject(unit, ctx, grant, "match")
            return False
        let_in(unit, ctx, grant, "scan")
        return True

    if not await ctx.store.write(work):
        raise Conflict(_("The number doesn't match, so the device was rejected. Start again."))


async def deny_pairing(ctx: RequestContext, pairing_id: str) -> None:
    """Rejects the device that claimed the pairing, or ends an unclaimed pairing. Raises NotFound, Conflict."""

    def work(unit: TenantUnit) -> None:
        grant = _grant_of(unit, _own(unit, ctx, pairing_id))
        if grant is not None:
            reject(unit, ctx, grant, "asked")
        elif not grants.close_pairing(unit, pairing_id, ctx.now):
            raise Conflict(_("The pairing has expired. Start again."))

    await ctx.store.write(work)


def _own(unit: TenantUnit, ctx: RequestContext, pairing_id: str) -> Pairing:
    return existing(grants.find_own_pairing(unit, pairing_id, ctx.user.session_id))


def _grant_of(unit: TenantUnit, pairing: Pairing) -> Grant | None:
    return None if pairing.grant_key is None else grants.find(unit, pairing.grant_key)


def _close(unit: TenantUnit, ctx: RequestContext, pairing: Pairing) -> None:
    """Ends an open pairing, and rejects the device that waits for it."""
    grants.close_pairing(unit, pairing.id, ctx.now)
    grant = _grant_of(unit, pairing)
    if grant is not None:
        reject(unit, ctx, grant, "replaced")


def _state(pairing: Pairing, grant: Grant | None, now: int) -> State:
    if grant is None:
        is_over = now >= min(pairing.code_ends_at, pairing.expires_at)
        return "expired" if is_over or pairing.grant_key else "waiting"
    state = _OF_GRANT[grant.state]
    return "expired" if state in ("claimed", "approved") and now >= grant.expires_at else state


def _new_code(ctx: RequestContext) -> tuple[str, str]:
    """Returns a code to scan, and another to type instead."""
    random = ctx.services.random
    return grants.scanned(random), random_letters(random.bytes, grants.TYPED)


def _mark(ctx: RequestContext, typed: str) -> str:
    return grants.mark(ctx.services, "pairing", ctx.user.tenant_id, typed)


def _shown(ctx: RequestContext, pairing_id: str, scanned: str, typed: str, ends_at: int) -> PairingCodeData:
    qr = f"{ctx.services.settings.public_url.rstrip('/')}/pair#{ctx.user.client}.{scanned}"
    return PairingCodeData(pairing_id, qr, grouped_letters(typed, 5), when(ends_at))
