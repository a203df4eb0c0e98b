"""Sign-in with badge and PIN on a client's device, a user's own badge and PIN, and enrollment of devices."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any, Final, NamedTuple

from manifest_auth import audit, tenants
from manifest_auth.accounts import badges, mail_queue, shared_devices, users
from manifest_auth.accounts.badges import BADGE_ROLES, Badge, BadgePinData, Pin, Prepared, givers_still_may
from manifest_auth.accounts.shared_devices import EnrolmentData, FoundDevice
from manifest_auth.audit import Event
from manifest_auth.context import BADGE
from manifest_auth.errors import Forbidden, InvalidCredentials, InvalidToken, Overloaded, ValidationError
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.metrics import EntryPoint, Limit
from manifest_auth.runtime.settings import HOUR, MINUTE
from manifest_auth.services import RequestContext
from manifest_auth.sessions import Hold, device_sessions
from manifest_auth.sign_in import completion
from manifest_auth.sign_in.completion import SignedIn
from manifest_auth.sign_in.sign_in_metrics import counts
from manifest_auth.store import SystemUnit, TenantStore, TenantUnit
from manifest_auth.tenants import BadgeRules, Tenant
from manifest_auth.text import scan_codes
from manifest_auth.text.canonical import when
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import Time, Wire
from manifest_auth.text.scan_codes import ScanKind
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import DAY_MS, Counter, Pause, Policy, Wait

# Every wrong badge or PIN gets the same answer and costs one hash. An attempt is counted before it is checked: the
# throttle delays the next one, and the tenth wrong PIN in a row disables the PIN, never the account. A badge can be
# copied, so badge and PIN are one factor. They still satisfy a client's policy, for the roles of such a session. A
# lasting badge requires a PIN that its user set in the account, because the issuer of the badge could also have issued
# a temporary PIN, and replaced it at a device. Temporary badges and PINs work as long as their issuer can manage the
# user.

ENTRY_POINT: Final[EntryPoint] = "badge"
_WRONG = "Invalid badge or PIN"
_FIELD = "newPin"
#: Limits for one badge. Pauses follow the third, the fourth, and each later wrong attempt in a row.
OF_BADGE: Final = Policy(
    free=3,
    longest_ms=0,
    memory_ms=DAY_MS,
    ceiling=None,
    pauses_ms=(MINUTE * 1000, 5 * MINUTE * 1000, 15 * MINUTE * 1000),
)
#: Limit for one device, per hour.
MOST_ON_DEVICE: Final = 30
_HOUR_MS = HOUR * 1000


class BadgeShown(NamedTuple):
    """The credentials that a device sends. ``badge`` is the text of its QR code; ``new_pin`` replaces a temporary
    PIN."""

    token: str
    badge: str
    pin: str
    new_pin: str | None = None


class _Attempt(NamedTuple):
    """A counted attempt. ``pin`` is None if there is none to compare ``text`` with."""

    device: FoundDevice
    rules: BadgeRules
    badge: Badge | None
    pin: Pin | None
    text: str
    counters: tuple[Counter, ...]
    wait: Wait | None = None


@counts(BADGE)
async def sign_in(ctx: RequestContext, shown: BadgeShown) -> SignedIn:
    """Opens a session of the badge's user on the device, and ends the device's previous session. Raises InvalidToken
    for an unknown device, InvalidCredentials, AccountDisabled, RateLimited, Overloaded. If the PIN was correct, raises
    ValidationError if a new PIN is missing or rejected, and Forbidden if the badge requires the user's own PIN."""
    services = ctx.services
    services.hasher.check_capacity()  # before counting: a dropped attempt must not count
    attempt = await services.store.write_quickly(lambda unit: _count(unit, ctx, shown))
    if attempt.wait is not None:
        raise services.throttle.refusal(ENTRY_POINT, attempt.wait)
    try:
        proof = await services.hasher.verify(attempt.pin.hash if attempt.pin else None, attempt.text)
    except Overloaded:
        await services.store.write_quickly(lambda unit: _take_back(unit, attempt))
        raise
    if not proof.matches or attempt.pin is None or attempt.badge is None:
        await services.store.write_quickly(lambda unit: _failed(unit, ctx, attempt))
        why = "incorrect PIN" if attempt.pin else "unknown, or can't be used with a PIN now"
        raise InvalidCredentials(_WRONG, reason=f"badge: {why}")
    badge, pin = attempt.badge, attempt.pin
    try:
        if badge.kind == "standard" and pin.temporary_until is not None:
            sentence = "This badge requires a PIN that you set in your account"
            raise Forbidden(sentence, reason="badge: not the user's own PIN")
        fresh = await _replacement(ctx, attempt.rules, pin, shown)
    except (ValidationError, Forbidden, Overloaded):
        await services.store.write_quickly(lambda unit: _was_right(unit, ctx, attempt, pin))
        raise
    return await completion.run(ctx, BADGE, lambda unit: _complete(unit, ctx, attempt, badge, pin, fresh))


def _count(unit: SystemUnit, ctx: RequestContext, shown: BadgeShown) -> _Attempt:
    """Finds device, badge and PIN, and counts the attempt for all three."""
    device, now = shared_devices.find_by_token(unit, shown.token, ctx.now), ctx.now
    if device is None:
        raise InvalidToken(reason="device: unknown, removed, unused for too long, or its client is suspended")
    ctx.client_hint.check(device.client, device.tenant_id, "device token")
    bound, code = unit.of(device.tenant_id), scan_codes.read_scan_code(ScanKind.BADGE, shown.badge)
    rules = tenants.settings_of(tenants.get(unit, device.tenant_id).settings).badge
    badge = badges.find(bound, code.hash, now) if code is not None and rules.enabled else None
    counters = _counters(device, code.hash if code is not None else scan_codes.hash_of_any_scan_code(shown.badge), now)
    nothing = hashlib.sha256(shown.pin.encode("utf-8", "surrogatepass")).hexdigest()
    attempt = _Attempt(device=device, rules=rules, badge=badge, pin=None, text=nothing, counters=counters)
    pause = throttle.count_each(unit, counters, now) if ctx.services.throttle.is_on else None
    if pause is not None:
        limit: Limit = "account" if pause.by.policy is OF_BADGE else "origin"
        detail: dict[str, Any] = {"method": BADGE, "device": device.id, "wait_ms": pause.ms}
        ctx.services.anonymous_limits.record(bound, ctx, Event.THROTTLED, _subject(badge), **detail)
        return attempt._replace(wait=Wait(pause.ms, limit))
    pin = badges.find_pin(bound, badge.user_id) if badge is not None else None
    if badge is None or pin is None or not pin.is_usable(now) or not givers_still_may(bound, badge, pin):
        return attempt
    if not badges.count_pin_try(bound, pin, now):
        return attempt
    text = badges.entered_pin(bound, ctx.services.sealer, pin, shown.pin)
    return attempt if text is None else attempt._replace(pin=pin, text=text)


def _counters(device: FoundDevice, badge_hash: str, now: int) -> tuple[Counter, ...]:
    """Returns the counters of the badge, real or not, and of the device in this hour."""
    left = _HOUR_MS - now % _HOUR_MS
    in_hour = Policy(MOST_ON_DEVICE, longest_ms=0, memory_ms=_HOUR_MS, ceiling=None, pauses_ms=(left,))
    of_badge = throttle.key_of(ENTRY_POINT, "account", device.tenant_id, badge_hash)
    of_device = throttle.span_key(ENTRY_POINT, "origin", device.tenant_id, device.id, now=now, span_s=HOUR)
    return Counter(of_badge, OF_BADGE), Counter(of_device, in_hour)


def _subject(badge: Badge | None) -> str:
    return f"user:{badge.user_id}" if badge is not None else ""


def _take_back(unit: SystemUnit, attempt: _Attempt) -> None:
    throttle.undo(unit, attempt.counters)
    if attempt.pin is not None:
        badges.uncount_pin_try(unit.of(attempt.device.tenant_id), attempt.pin.user_id)


def _was_right(unit: SystemUnit, ctx: RequestContext, attempt: _Attempt, pin: Pin) -> None:
    """Reverses the count: the PIN was correct, whatever the result of the sign-in."""
    for counter in throttle.in_order(attempt.counters) if ctx.services.throttle.is_on else ():
        if counter.policy is OF_BADGE:
            unit.change(throttle.CLEAR, of_key=counter.key)
        else:
            throttle.undo(unit, [counter])
    badges.pin_was_right(unit.of(attempt.device.tenant_id), pin.user_id)


def _failed(unit: SystemUnit, ctx: RequestContext, attempt: _Attempt) -> None:
    bound, subject = unit.of(attempt.device.tenant_id), _subject(attempt.badge)
    detail: dict[str, Any] = {"method": BADGE, "device": attempt.device.id}
    ctx.services.anonymous_limits.record(bound, ctx, Event.SIGN_IN_FAILED, subject, **detail)
    pin = badges.find_pin(bound, attempt.badge.user_id) if attempt.badge is not None else None
    if pin is not None and badges.kill_pin(bound, pin, ctx.now):
        audit.record(bound, ctx, Event.BADGE_PIN_DEAD, subject, device=attempt.device.id)


async def _replacement(
    ctx: RequestContext, rules: BadgeRules, pin: Pin, shown: BadgeShown
) -> tuple[Prepared, str] | None:
    """Returns the new PIN that replaces one issued by a manager, and its hash. None for other PINs. Raises
    ValidationError, Overloaded."""
    new = shown.new_pin
    if not pin.given:
        if new is not None:
            raise ValidationError(details=[(_FIELD, "Only a temporary PIN can be replaced here")])
        return None
    if new is None:
        raise ValidationError(details=[(_FIELD, _("Your PIN is temporary. Choose your own"))])
    badges.check_pin(new, rules.pin_length, _FIELD)
    if new == shown.pin:
        raise ValidationError(details=[(_FIELD, _("Must differ from the temporary PIN"))])
    prepared = badges.prepare_pin(ctx.services.random, new)
    return prepared, await ctx.services.hasher.hash(prepared.text)


def _complete(
    unit: SystemUnit, ctx: RequestContext, attempt: _Attempt, badge: Badge, pin: Pin, fresh: tuple[Prepared, str] | None
) -> SignedIn:
    """Checks the values that were read before hashing again, and opens the session. Locks the user's row first."""
    now, device = ctx.now, attempt.device
    bound = unit.of(device.tenant_id)
    users.get(bound, pin.user_id, lock=True)
    _was_right(unit, ctx, attempt, pin)
    _, user = completion.active_account(unit, ctx, device.tenant_id, pin.user_id, BADGE)
    known = shared_devices.lock_devices(bound, device.id, now)
    if known is None:
        raise InvalidToken(reason="device: removed in the meantime")
    now_pin = badges.find_pin(bound, user.id, lock=True)
    is_same = now_pin is not None and now_pin.hash == pin.hash and now_pin.is_usable(now)
    works = is_same and badges.is_live(bound, badge.id, now) and givers_still_may(bound, badge, pin)
    if not works or not user.roles & BADGE_ROLES:
        raise InvalidCredentials(
            _WRONG,
            reason="badge: it was revoked or its PIN replaced in the meantime, or the user has no role for a badge",
        )
    device_sessions.end_of_device(bound, device.id, "replaced", now)
    if fresh is not None:
        badges.put_pin(bound, ctx.services.sealer, user.id, *fresh, now, pin.temporary_until, pin.given_by)
        mail_queue.tell(bound, ctx, user, Event.BADGE_PIN_SET, in_place_of="temporary", device=device.id)
    badges.used(bound, badge.id, now)
    shared_devices.seen(bound, device.id, now)
    ends_at = now + attempt.rules.hours * _HOUR_MS
    idle_s = attempt.rules.idle_minutes * MINUTE
    held = Hold(BADGE, BADGE_ROLES, ends_at, known.name, device_id=device.id, idle_s=idle_s)
    tenant, user, opened = completion.open_on_device(unit, ctx, device.tenant_id, user.id, held, "badge", "pin")
    user = user._replace(roles=user.roles & BADGE_ROLES)
    return completion.with_tokens(ctx, tenant, user, opened)._replace(password_due=False)


class OwnBadge(NamedTuple):
    """The caller's badge sign-in. ``is_on``: the client allows it; ``has_role``: the caller has a role for it;
    ``least``: the minimum number of digits of a PIN."""

    badges: list[Badge]
    pin: BadgePinData | None
    is_on: bool
    has_role: bool
    least: int


async def look_at_own(ctx: RequestContext) -> OwnBadge:
    """Returns the caller's valid badges and PIN."""
    rules = tenants.settings_of(ctx.user.tenant_settings).badge

    def work(unit: TenantUnit) -> OwnBadge:
        me = users.get(unit, ctx.user.user_id)
        live = badges.list_live(unit, me.id, ctx.now)
        pin, has_role = badges.show_pin(unit, me.id), bool(me.roles & BADGE_ROLES)
        return OwnBadge(live, pin, rules.enabled, has_role, rules.pin_length)

    return await ctx.store.read(work)


async def set_pin(ctx: RequestContext, pin: str) -> None:
    """Sets the caller's PIN, which ends the caller's badge sessions. Raises ValidationError, Conflict if the client or
    the caller's roles don't allow badges, ReauthenticationRequired, Overloaded."""
    await ctx.store.write(lambda unit: badges.check_own(unit, ctx))
    badges.check_pin(pin, tenants.settings_of(ctx.user.tenant_settings).badge.pin_length, "pin")
    prepared = badges.prepare_pin(ctx.services.random, pin)
    hashed = await ctx.services.hasher.hash(prepared.text)
    await ctx.store.write(lambda unit: badges.set_own_pin(unit, ctx, prepared, hashed))


ENROLMENT_ENTRY_POINT: Final[EntryPoint] = "enrolment"
_SPAN_S: Final = 10 * MINUTE
#: Wrong codes from one address in ten minutes.
MOST_WRONG: Final = 10


class EnrolledDeviceData(Wire, frozen=True):
    """``deviceToken``: the device stores it. Returned once."""

    device_id: str
    device_token: str
    client: str


async def enrol(ctx: RequestContext, text: str) -> EnrolledDeviceData:
    """Enrolls the device that shows a code. A typed code also needs the client's identifier in ``X-Client-ID``. Raises
    the same InvalidToken for an unknown, used or expired code; Forbidden if the header names another client;
    RateLimited."""
    token = ctx.services.random.text(32)
    done = await ctx.services.store.write(lambda unit: _enrol(unit, ctx, text.strip(), token))
    if isinstance(done, Pause):
        raise ctx.services.throttle.refusal(ENROLMENT_ENTRY_POINT, Wait(done.ms, "address"))
    return done


def _enrol(unit: SystemUnit, ctx: RequestContext, text: str, token: str) -> EnrolledDeviceData | Pause:
    counters = _enrolment_counters(ctx)
    if counters and (pause := throttle.count_each(unit, counters, ctx.now)):
        return pause
    tenant, found = _find(unit, ctx, text)
    device = None
    if tenant is not None and found is not None:
        device = shared_devices.enrol(unit.of(tenant.id), ctx, ctx.services.random, found, token)
    if tenant is None or device is None:
        raise InvalidToken(reason="enrollment: unknown, used, or expired", keeps_writes=True)
    throttle.undo(unit, counters)
    return EnrolledDeviceData(device.id, token, tenant.identifier)


def _find(unit: SystemUnit, ctx: RequestContext, text: str) -> tuple[Tenant | None, EnrolmentData | None]:
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


def _enrolment_counters(ctx: RequestContext) -> tuple[Counter, ...]:
    if not ctx.services.throttle.is_on:
        return ()
    left = _SPAN_S * 1000 - ctx.now % (_SPAN_S * 1000)
    policy = Policy(MOST_WRONG, longest_ms=0, memory_ms=_SPAN_S * 1000, ceiling=None, pauses_ms=(left,))
    key = partial(throttle.span_key, ENROLMENT_ENTRY_POINT, "from", now=ctx.now, span_s=_SPAN_S)
    return throttle.by_address(policy, key, ctx.source)


class TemporaryPinData(Wire, frozen=True):
    """``pin``: the user must replace it at the next sign-in. Returned once."""

    pin: str
    ends_at: Time


async def reset_badge_pin(ctx: RequestContext, store: TenantStore, user_id: int) -> TemporaryPinData:
    """Resets the PIN like :func:`manifest_auth.accounts.badges.reset_pin`, for a user of the store's client. Also
    raises Overloaded."""
    least = await store.write(lambda unit: badges.check_reset(unit, ctx, user_id))
    pin = _random_pin(ctx.services.random, least)
    prepared = badges.prepare_pin(ctx.services.random, pin)
    hashed = await ctx.services.hasher.hash(prepared.text)
    ends_at = await store.write(lambda unit: badges.reset_pin(unit, ctx, user_id, prepared, hashed))
    return TemporaryPinData(pin, when(ends_at))


def _random_pin(random: Random, digits: int) -> str:
    """Returns random digits that the PIN rules accept."""
    while True:
        number = int.from_bytes(random.bytes(16), "big") % 10**digits
        if not badges.is_guessable(pin := f"{number:0{digits}}"):
            return pin
