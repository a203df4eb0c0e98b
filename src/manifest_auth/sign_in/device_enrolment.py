"""A device of the client enrols itself with a code that it scans, or with letters that are typed there."""

from __future__ import annotations

from typing import Final

from manifest_auth import tenants
from manifest_auth.accounts import shared_devices
from manifest_auth.accounts.shared_devices import Enrolment
from manifest_auth.errors import InvalidToken
from manifest_auth.runtime.metrics import EntryPoint
from manifest_auth.runtime.settings import MINUTE
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import Tenant
from manifest_auth.text import scan_codes
from manifest_auth.text.scan_codes import ScanKind
from manifest_auth.text.wire import Wire
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counter, Pause, Policy, Wait

ENTRY_POINT: Final[EntryPoint] = "enrolment"
_SPAN_S: Final = 10 * MINUTE
#: Wrong codes from one address in ten minutes.
MOST_WRONG: Final = 10


class EnrolledDeviceData(Wire, frozen=True):
    """``deviceToken``: the device keeps it. Returned once."""

    device_id: str
    device_token: str
    client: str


async def enrol(ctx: RequestContext, text: str) -> EnrolledDeviceData:
    """Enrols the device that shows a code. Letters are good only with the client's identifier in ``X-Client-ID``.
    Raises InvalidToken for a code that is unknown, used or over, all alike; Forbidden where the header names another
    client; RateLimited."""
    token = ctx.services.random.text(32)
    done = await ctx.services.store.write(lambda unit: _enrol(unit, ctx, text.strip(), token))
    if isinstance(done, Pause):
        raise ctx.services.throttle.refusal(ENTRY_POINT, Wait(done.ms, "address"))
    return done


def _enrol(unit: SystemUnit, ctx: RequestContext, text: str, token: str) -> EnrolledDeviceData | Pause:
    counters = _counters(ctx)
    if counters and (pause := throttle.count_each(unit, counters, ctx.now)):
        return pause
    tenant, found = _find(unit, ctx, text)
    device = None
    if tenant is not None and found is not None:
        device = shared_devices.enrol(unit.of(tenant.id), ctx, ctx.services.random, found, token)
    if tenant is None or device is None:
        raise InvalidToken(reason="enrolment: unknown, used or over", keeps_writes=True)
    for counter in counters:
        throttle.undo(unit, counter.key)
    return EnrolledDeviceData(device.id, token, tenant.identifier)


def _find(unit: SystemUnit, ctx: RequestContext, text: str) -> tuple[Tenant | None, Enrolment | None]:
    code = scan_codes.read_scan_code(ScanKind.DEVICE, text)
    client = ctx.client_hint.client if code is None else code.client
    tenant = tenants.find(unit, client) if client else None
    if tenant is None or tenant.suspended_at is not None or not tenants.settings_of(tenant.settings).badge.enabled:
        return None, None
    ctx.client_hint.check(tenant.identifier, tenant.id, "enrolment code")
    bound = unit.of(tenant.id)
    if code is not None:
        return tenant, shared_devices.find_enrolment(bound, ctx.now, code_hash=code.hash)
    return tenant, shared_devices.find_enrolment(bound, ctx.now, letters=scan_codes.plain_letters(text))


def _counters(ctx: RequestContext) -> list[Counter]:
    if not ctx.services.throttle.is_on:
        return []
    left = _SPAN_S * 1000 - ctx.now % (_SPAN_S * 1000)
    policy = Policy(MOST_WRONG, longest_ms=0, memory_ms=_SPAN_S * 1000, ceiling=None, pauses_ms=(left,))

    def key_of(network: str) -> str:
        return throttle.span_key(ENTRY_POINT, "from", network, now=ctx.now, span_s=_SPAN_S)

    return throttle.in_order(throttle.by_address(policy, key_of, ctx.address))
