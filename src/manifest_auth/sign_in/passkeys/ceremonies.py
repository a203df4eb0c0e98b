"""Passkey ceremonies: the relying party, its challenges, and verification of responses against the stored passkeys."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from manifest_auth import tenants
from manifest_auth.accounts import factors, mail_queue
from manifest_auth.accounts.factors import Kind, passkey_rows
from manifest_auth.accounts.factors.passkey_rows import Passkey
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.errors import Conflict
from manifest_auth.protocols import webauthn
from manifest_auth.protocols.webauthn import Asserted, Descriptor, Expected, Known, Person, WebauthnRefused
from manifest_auth.runtime.logs import FilteringBoundLogger
from manifest_auth.runtime.settings import (
    Settings,
    is_below,
    passkey_origins,
    passkey_rp_id,
    public_host,
    why_no_passkeys,
)
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.browser_identity import macs_of
from manifest_auth.store import Store, SystemUnit, TenantUnit, installation_values
from manifest_auth.tenants import Tenant
from manifest_auth.text import base64url, fields
from manifest_auth.text.languages import marked as _

# A passkey works only for its RP ID. If the public address moves outside of it, all existing passkeys become void, and
# new ones belong to the new address.

_NAME = "passkey_rp_id"


class RelyingParty(NamedTuple):
    id: str
    origins: tuple[str, ...]


def current_party(unit: SystemUnit, settings: Settings) -> RelyingParty:
    """Returns the relying party at the public address. Raises Conflict if browsers can't create passkeys there."""
    if why := why_no_passkeys(settings):
        raise Conflict(_("Passkeys aren't available at this address"), reason=why)
    return RelyingParty(rp_id_in_force(unit, settings), passkey_origins(settings))


def rp_id_in_force(unit: SystemUnit | TenantUnit, settings: Settings) -> str:
    """Returns the RP ID for which a passkey works at the public address: the stored one if the public host is below it,
    otherwise that of the settings; empty if none works."""
    if why_no_passkeys(settings):
        return ""
    kept_id = stored_rp_id(unit)
    return kept_id if kept_id and is_below(public_host(settings), kept_id) else passkey_rp_id(settings)


def knows_any(unit: TenantUnit, settings: Settings, user_id: int) -> bool:
    """Whether the user has a passkey that works at the public address."""
    rp_id = rp_id_in_force(unit, settings)
    return bool(rp_id) and passkey_rows.count_of(unit, user_id, rp_id) > 0


def stored_rp_id(unit: SystemUnit | TenantUnit) -> str:
    """Returns the RP ID that the first passkey fixed; empty before that."""
    return installation_values.get(unit, _NAME) or ""


def keep_rp_id(unit: SystemUnit, rp_id: str) -> None:
    """Fixes the RP ID when a passkey uses it."""
    if stored_rp_id(unit) != rp_id:
        installation_values.put(unit, _NAME, rp_id)


class PasskeyState(NamedTuple):
    """The state of passkeys. ``why_off``: empty if they work; ``rp_id``: for new ones; ``kept``: the RP ID that the
    first passkey fixed, empty before that; ``void``: the number of passkeys of another RP ID."""

    why_off: str
    rp_id: str
    kept: str
    void: int


async def look_at_passkeys(store: Store, settings: Settings, *, counts: bool = True) -> PasskeyState:
    """Returns the passkey rules at this public address. ``counts``: count void passkeys even if the address has not
    changed."""

    def work(unit: SystemUnit) -> PasskeyState:
        why, kept = why_no_passkeys(settings), stored_rp_id(unit)
        rp_id = rp_id_in_force(unit, settings)
        looks = bool(kept) and (counts or rp_id != kept)
        return PasskeyState(why, rp_id, kept, passkey_rows.count_foreign(unit, rp_id) if looks else 0)

    return await store.read(work)


async def log_state(store: Store, settings: Settings, log: FilteringBoundLogger) -> None:
    """Logs at startup that passkeys are off, or that the public address voids existing ones."""
    found = await look_at_passkeys(store, settings, counts=False)
    if found.why_off:
        log.info("passkeys_off", why=found.why_off)
    if found.void:
        log.warning("passkeys_void", passkeys=found.void, made_for=found.kept, public_url=settings.public_url)


# A challenge contains its own expiry and proof, so that nothing is stored before a correct response: 16 random bytes,
# the expiry, and a MAC over purpose and holder. The holder is the browser's cookie before a sign-in, and the session
# after it. A challenge is useless in another browser, in another session or for another purpose (login CSRF). A correct
# response uses it up across all nodes.

ChallengePurpose = Literal["sign-in", "add", "reauthenticate"]
LIFE_MS = 600_000
_RANDOM, _END, _MAC = 16, 8, 32


def new_challenge(ctx: RequestContext, purpose: ChallengePurpose, holder: str) -> str:
    """Creates a challenge in base64url. ``holder`` is the browser's cookie, or the session."""
    body = ctx.services.random.bytes(_RANDOM) + (ctx.now + LIFE_MS).to_bytes(_END)
    return base64url.encode(body + bytes.fromhex(macs_of(ctx).make(_message(purpose, holder, body))))


def why_not_valid(ctx: RequestContext, purpose: ChallengePurpose, holder: str, challenge: str) -> str:
    """Returns why the challenge is not valid here, for the log; empty if it is valid."""
    try:
        raw = base64url.decode(challenge)
    except ValueError:
        return "challenge: not base64url"
    body, mac = raw[: _RANDOM + _END], raw[_RANDOM + _END :]
    if len(mac) != _MAC or not holder or not macs_of(ctx).is_valid(_message(purpose, holder, body), mac.hex()):
        return "challenge: not made for this browser and purpose"
    return "challenge: over" if ctx.now >= _end_of(challenge) else ""


def use_challenge(unit: SystemUnit | TenantUnit, challenge: str) -> bool:
    """Uses a valid challenge. Only one of several concurrent calls gets True."""
    return passkey_rows.use_up(unit, challenge, _end_of(challenge))


def _end_of(challenge: str) -> int:
    return int.from_bytes(base64url.decode(challenge)[_RANDOM : _RANDOM + _END])


def _message(purpose: ChallengePurpose, holder: str, body: bytes) -> bytes:
    return b"\0".join((b"passkey", purpose.encode(), holder.encode(), body))


# The only place that verifies a passkey: for sign-in with only a passkey, for the second step, and for
# re-authentication.


def assertion_options(unit: SystemUnit, ctx: RequestContext, user: User, challenge: str) -> dict[str, Any]:
    """Returns the options with which a browser uses one of the user's passkeys. Raises Conflict if passkeys are off."""
    party = current_party(unit, ctx.services.settings)
    return webauthn.request(party.id, challenge, descriptors(unit.of(user.tenant_id), user.id, party))


def descriptors(unit: TenantUnit, user_id: int, party: RelyingParty) -> list[Descriptor]:
    """Returns the user's passkeys in the browser's format, except passkeys of a previous RP ID."""
    rows = passkey_rows.list_all(unit, user_id)
    return [Descriptor(row.credential_id, tuple(row.transports.split())) for row in rows if row.rp_id == party.id]


def verify(
    unit: TenantUnit, party: RelyingParty, row: Passkey, credential: dict[str, Any], challenge: str, *, named: bool
) -> Asserted:
    """Verifies everything in a response except its counter. ``named``: the browser was told whose passkeys to use.
    Raises Rejected."""
    handle = passkey_rows.handle_of(unit, row.user_id)
    if handle is None or row.rp_id != party.id:
        raise WebauthnRefused("a passkey of a previous RP ID")
    known = Known(row.public_key, handle, not named, bool(row.backup_eligible))
    return webauthn.verify_assertion(credential, Expected(challenge, party.id, party.origins), known)


def accept(unit: TenantUnit, ctx: RequestContext, user: User, row: Passkey, asserted: Asserted) -> bool:
    """Stores the counter and backup state from a verified response of a locked user. Returns False if the counter did
    not increase. That is recorded, and the user is notified, but the passkey is kept, since a race looks the same."""
    if passkey_rows.use(unit, row, asserted.counter, int(asserted.backup_state), ctx.now):
        return True
    if passkey_rows.get(unit, user.id, row.id) is not None:
        mail_queue.tell(unit, ctx, user, Event.PASSKEY_COUNTER_REGRESSED, passkey=row.id)
    return False


def judge(unit: SystemUnit, ctx: RequestContext, user: User, challenge: str, credential: dict[str, Any]) -> str:
    """Verifies and accepts the response of a locked user, whose browser was told which passkeys to use. Returns why it
    is wrong, for the log; empty if it is correct. The library is loaded, see :func:`.webauthn.load`."""
    bound = unit.of(user.tenant_id)
    try:
        party = current_party(unit, ctx.services.settings)
        row = passkey_rows.find(unit, webauthn.credential_id_of(credential))
        if row is None or (row.tenant_id, row.user_id) != (user.tenant_id, user.id):
            return "passkey: not one of the user's"
        asserted = verify(bound, party, row, credential, challenge, named=True)
    except WebauthnRefused as refused:
        return f"passkey: {refused}"
    return "" if accept(bound, ctx, user, row, asserted) else "passkey: its counter didn't increase"


_HANDLE_BYTES = 64  # the maximum; they don't identify the user (WebAuthn Level 3, section 14.6.1)
_NAMELESS = "Passkey"


def registration_options(
    unit: SystemUnit, ctx: RequestContext, tenant: Tenant, user: User, challenge: str
) -> dict[str, Any]:
    """Returns the options with which a browser creates a passkey for a locked user. Raises Conflict if passkeys are
    off, or the user already has the maximum number."""
    bound, party = unit.of(tenant.id), current_party(unit, ctx.services.settings)
    _check_room(unit, user)
    handle = passkey_rows.handle(bound, user.id, base64url.encode(ctx.services.random.bytes(_HANDLE_BYTES)))
    person = Person(handle, user.email, f"{user.full_name or user.email} ({tenants.shown_name(tenant)})")
    return webauthn.creation(party.id, challenge, person, descriptors(bound, user.id, party))


def add(
    unit: SystemUnit,
    ctx: RequestContext,
    tenant: Tenant,
    user: User,
    challenge: str,
    credential: dict[str, Any],
    name: str,
    *,
    but: str = "",
) -> tuple[Passkey, tuple[str, ...]]:
    """Verifies and stores a new passkey of a locked user. Returns the row, and the recovery codes of a first factor, to
    be shown once. The user's other sessions and all trusted browsers end. ``challenge`` is that of the options.
    ``name`` is empty to use the authenticator's own. ``but`` is the session that stays.

    Raises Rejected, ValidationError for the name, and Conflict if passkeys are off, no more are allowed, or the
    credential is already registered.
    """
    bound, services = unit.of(tenant.id), ctx.services
    fields.PASSKEY_NAME.check(name, "name")
    party = current_party(unit, services.settings)
    found = webauthn.verify_registration(credential, Expected(challenge, party.id, party.origins))
    _check_room(unit, user)
    if passkey_rows.find(unit, found.credential_id) is not None:  # section 7.1, step 26
        raise Conflict(_("This passkey is already registered"))
    provider = webauthn.provider_of(found.aaguid)
    row = Passkey(
        id=services.random.text(12),
        tenant_id=tenant.id,
        user_id=user.id,
        credential_id=found.credential_id,
        public_key=found.public_key,
        algorithm=found.algorithm,
        counter=found.counter,
        transports=" ".join(found.transports),
        aaguid=found.aaguid,
        name=name or provider or _NAMELESS,
        backup_eligible=int(found.backup_eligible),
        backup_state=int(found.backup_state),
        rp_id=party.id,
        created_at=ctx.now,
        last_used_at=None,
    )
    passkey_rows.add(bound, row)
    keep_rp_id(unit, party.id)
    codes = factors.added(bound, services.random, user.id, user.factors, Kind.PASSKEY, ctx.now, but=but)
    detail = {"passkey": row.id, "name": row.name, "provider": provider or ""}
    mail_queue.tell(bound, ctx, user, Event.PASSKEY_ADDED, **detail)
    return row, codes


def _check_room(unit: SystemUnit, user: User) -> None:
    if passkey_rows.count(unit.of(user.tenant_id), user.id) >= passkey_rows.MOST:
        raise Conflict(_("An account can have at most %(number)s passkeys. Remove one first", number=passkey_rows.MOST))
