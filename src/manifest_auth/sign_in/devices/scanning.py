"""A person shows a code, which a device scans; then the person reads two digits off the device.

No code exists that an attacker could send to a victim. What is left is a victim who sends a picture of the own screen:
against that stand the minute, the network and the digits (RFC 10027 calls it session phishing).
"""

from __future__ import annotations

import hmac
from typing import Literal, NamedTuple

from manifest_auth import audit
from manifest_auth.audit import Act, Event
from manifest_auth.errors import Conflict, existing
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.devices import approving, codes, grants, limits, pairings
from manifest_auth.sign_in.devices.approving import AskingDevice
from manifest_auth.sign_in.devices.grants import Grant
from manifest_auth.sign_in.devices.pairings import CODE_MS, LIFE_MS, Pairing
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.text.languages import marked as _
from manifest_auth.text.scan_codes import grouped_letters

State = Literal["waiting", "claimed", "approved", "denied", "expired", "done"]
_OF_GRANT: dict[str, State] = {
    grants.PENDING: "claimed", grants.APPROVED: "approved", grants.DENIED: "denied", grants.USED: "done",
}  # fmt: skip


class ShownCode(NamedTuple):
    """``qr``: the text of the QR code; ``typed``: in groups; ``ends_at``: of the code, milliseconds."""

    id: str
    qr: str
    typed: str
    ends_at: int


class Standing(NamedTuple):
    """``device``: that claimed the pairing; ``ends_at``: of the code, ``renewable_until``: of the pairing."""

    state: State
    device: AskingDevice | None
    ends_at: int
    renewable_until: int


class _Code(NamedTuple):
    scanned: str
    typed: str


async def begin(ctx: RequestContext) -> ShownCode:
    """Begins a pairing; of four open ones the oldest ends. Raises ReauthenticationRequired, Forbidden, Conflict."""
    step_up.check(ctx, Act.PAIRING)
    services, user, now = ctx.services, ctx.user, ctx.now
    if not approving.rules_of(ctx).scan:
        raise Conflict(_("Your organisation does not let devices in by scanning"))
    await services.keys.ensure_current()
    code = _new_code(ctx)
    pairing = Pairing(
        id=services.random.text(16), user_id=user.user_id, session_id=user.session_id,
        code=codes.hash_of(code.scanned), typed=_mark(ctx, code), grant_key=None, created_at=now,
        code_ends_at=now + CODE_MS, expires_at=now + LIFE_MS,
    )  # fmt: skip

    def work(unit: TenantUnit) -> None:
        approving.check_may(unit, ctx)
        open_ones = [one for one in pairings.list_open(unit, user.user_id, now) if _is_open(unit, ctx, one)]
        for old in open_ones[: max(0, len(open_ones) - limits.PAIRINGS + 1)]:
            _close(unit, ctx, old)
        pairings.add(unit, pairing)
        audit.record(unit, ctx, Event.PAIRING_BEGUN, f"user:{user.user_id}", pairing=pairing.id)

    await ctx.store.write(work)
    return _shown(ctx, pairing.id, code, pairing.code_ends_at)


async def renew(ctx: RequestContext, pairing_id: str) -> ShownCode:
    """Another code for a pairing that no device has claimed. Raises NotFound, Conflict."""
    await ctx.services.keys.ensure_current()
    code, now = _new_code(ctx), ctx.now

    def work(unit: TenantUnit) -> int:
        pairing = _own(unit, ctx, pairing_id)
        until = min(now + CODE_MS, pairing.expires_at)
        if not pairings.renew(unit, pairing, codes.hash_of(code.scanned), _mark(ctx, code), until, now):
            raise Conflict(_("A device has claimed the code, or the pairing is over"))
        return until

    return _shown(ctx, pairing_id, code, await ctx.store.write(work))


async def look(ctx: RequestContext, pairing_id: str) -> Standing:
    """How a pairing stands. Raises NotFound."""

    def work(unit: TenantUnit) -> Standing:
        pairing = _own(unit, ctx, pairing_id)
        grant = _grant_of(unit, pairing)
        device = None if grant is None else approving.shown(unit, ctx, grant)
        return Standing(_state(pairing, grant, ctx.now), device, pairing.code_ends_at, pairing.expires_at)

    return await ctx.store.read(work)


async def approve(ctx: RequestContext, pairing_id: str, digits: str) -> None:
    """Lets the device in that claimed the pairing and shows these digits; another number denies it for good. Raises
    NotFound, Conflict, Forbidden, ReauthenticationRequired: the proof may be older than the pairing."""
    step_up.check(ctx, Act.PAIRING)

    def work(unit: TenantUnit) -> bool:
        grant = _claimed(unit, ctx, pairing_id)
        if not hmac.compare_digest(digits.strip().encode(), grant.digits.encode()):
            approving.reject(unit, ctx, grant, "match")
            return False
        approving.let_in(unit, ctx, grant, "scan")
        return True

    if not await ctx.store.write(work):
        raise Conflict(_("That is not the number on the device: it was refused. Begin anew"))


async def deny(ctx: RequestContext, pairing_id: str) -> None:
    """Refuses the device that claimed the pairing, and ends one that none has claimed. Raises NotFound, Conflict."""

    def work(unit: TenantUnit) -> None:
        pairing = _own(unit, ctx, pairing_id)
        grant = _grant_of(unit, pairing)
        if grant is not None:
            approving.reject(unit, ctx, grant, "asked")
        elif not pairings.close(unit, pairing_id, ctx.now):
            raise Conflict(_("The pairing is over"))

    await ctx.store.write(work)


def _own(unit: TenantUnit, ctx: RequestContext, pairing_id: str) -> Pairing:
    return existing(pairings.find_own(unit, pairing_id, ctx.user.session_id))


def _grant_of(unit: TenantUnit, pairing: Pairing) -> Grant | None:
    return None if pairing.grant_key is None else grants.find(unit, pairing.grant_key)


def _claimed(unit: TenantUnit, ctx: RequestContext, pairing_id: str) -> Grant:
    grant = _grant_of(unit, _own(unit, ctx, pairing_id))
    if grant is None:
        raise Conflict(_("No device has scanned the code yet"))
    return grant


def _is_open(unit: TenantUnit, ctx: RequestContext, pairing: Pairing) -> bool:
    return pairing.grant_key is None or _state(pairing, _grant_of(unit, pairing), ctx.now) in ("claimed", "approved")


def _close(unit: TenantUnit, ctx: RequestContext, pairing: Pairing) -> None:
    """Ends an open pairing, and refuses the device that waits for it."""
    pairings.close(unit, pairing.id, ctx.now)
    grant = _grant_of(unit, pairing)
    if grant is not None:
        approving.reject(unit, ctx, grant, "replaced")


def _state(pairing: Pairing, grant: Grant | None, now: int) -> State:
    if grant is None:
        is_over = now >= min(pairing.code_ends_at, pairing.expires_at)
        return "expired" if is_over or pairing.grant_key else "waiting"
    state = _OF_GRANT[grant.state]
    return "expired" if state in ("claimed", "approved") and now >= grant.expires_at else state


def _new_code(ctx: RequestContext) -> _Code:
    return _Code(codes.scanned(ctx.services.random), codes.typed(ctx.services.random))


def _mark(ctx: RequestContext, code: _Code) -> str:
    return codes.mark(ctx.services, "pairing", ctx.user.tenant_id, code.typed)


def _shown(ctx: RequestContext, pairing_id: str, code: _Code, ends_at: int) -> ShownCode:
    public = ctx.services.settings.public_url.rstrip("/")
    return ShownCode(
        pairing_id, f"{public}/pair#{ctx.user.client}.{code.scanned}", grouped_letters(code.typed, 5), ends_at
    )
