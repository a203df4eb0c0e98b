"""The one relying party of the installation: its RP ID, its origins and the challenges that it gives."""

from __future__ import annotations

from typing import Literal, NamedTuple

from manifest_auth.accounts.factors import passkey_rows
from manifest_auth.errors import Conflict
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
from manifest_auth.text import base64url

# A passkey works for its RP ID alone. Under a public address outside of it, all passkeys that were made are void; new
# ones then belong to the new address.

_NAME = "passkey_rp_id"


class RelyingParty(NamedTuple):
    id: str
    origins: tuple[str, ...]


def current(unit: SystemUnit, settings: Settings) -> RelyingParty:
    """The relying party at the public address. Raises Conflict where browsers make no passkeys there."""
    if why := why_no_passkeys(settings):
        raise Conflict("Passkeys are not available at this address", reason=why)
    return RelyingParty(effective_id(stored_id(unit), settings), passkey_origins(settings))


def id_in_force(unit: SystemUnit | TenantUnit, settings: Settings) -> str:
    """The RP ID for which a passkey works at the public address; empty where none does."""
    return "" if why_no_passkeys(settings) else effective_id(stored_id(unit), settings)


def knows_any(unit: TenantUnit, settings: Settings, user_id: int) -> bool:
    """Whether the user has a passkey that works at the public address."""
    rp_id = id_in_force(unit, settings)
    return bool(rp_id) and passkey_rows.count_of(unit, user_id, rp_id) > 0


def stored_id(unit: SystemUnit | TenantUnit) -> str:
    """The RP ID that the first passkey fixed; empty before it."""
    return installation_values.get(unit, _NAME) or ""


def effective_id(kept_id: str, settings: Settings) -> str:
    """The kept RP ID where the public host is below it, else that of the settings."""
    return kept_id if kept_id and is_below(public_host(settings), kept_id) else passkey_rp_id(settings)


def keep(unit: SystemUnit, rp_id: str) -> None:
    """Fixes the RP ID, with a passkey of it."""
    if stored_id(unit) != rp_id:
        installation_values.put(unit, _NAME, rp_id)


# Whether passkeys work at the public address, and how many were made for another one: for the operator.


class PasskeyState(NamedTuple):
    """``why_off``: empty where they work; ``rp_id``: of new ones; ``kept``: the RP ID that the last first passkey
    fixed, empty before it; ``void``: passkeys of another RP ID."""

    why_off: str
    rp_id: str
    kept: str
    void: int


async def look_at_passkeys(store: Store, settings: Settings, *, counts: bool = True) -> PasskeyState:
    """What holds at this public address. ``counts``: looks for void passkeys even where the address is as it was."""

    def work(unit: SystemUnit) -> PasskeyState:
        why, kept = why_no_passkeys(settings), stored_id(unit)
        rp_id = id_in_force(unit, settings)
        looks = bool(kept) and (counts or rp_id != kept)
        return PasskeyState(why, rp_id, kept, passkey_rows.count_foreign(unit, rp_id) if looks else 0)

    return await store.read(work)


async def log_state(store: Store, settings: Settings, log: FilteringBoundLogger) -> None:
    """Logs at a start that passkeys are off, or that the public address voids those that were made."""
    found = await look_at_passkeys(store, settings, counts=False)
    if found.why_off:
        log.info("passkeys_off", why=found.why_off)
    if found.void:
        log.warning("passkeys_void", passkeys=found.void, made_for=found.kept, public_url=settings.public_url)


# Challenges that carry their own end and proof, so that nothing is stored before a right answer.
#
# 16 random bytes, the end, and a MAC over purpose and holder: the browser's cookie before a sign-in, the session after
# it. A challenge is worth nothing in another browser, in another session or for another purpose (login CSRF). A right
# answer uses it up, once, on all nodes.

Purpose = Literal["sign-in", "add", "reauthenticate"]
LIFE_MS = 600_000
_RANDOM, _END, _MAC = 16, 8, 32


def new_challenge(ctx: RequestContext, purpose: Purpose, holder: str) -> str:
    """A challenge in base64url. ``holder``: the browser's cookie, or the session."""
    body = ctx.services.random.bytes(_RANDOM) + (ctx.now + LIFE_MS).to_bytes(_END)
    return base64url.encode(body + bytes.fromhex(macs_of(ctx).make(_message(purpose, holder, body))))


def why_not_valid(ctx: RequestContext, purpose: Purpose, holder: str, challenge: str) -> str:
    """Why the challenge does not count here, for the log; empty where it does."""
    try:
        raw = base64url.decode(challenge)
    except ValueError:
        return "challenge: not base64url"
    body, mac = raw[: _RANDOM + _END], raw[_RANDOM + _END :]
    if len(mac) != _MAC or not holder or not macs_of(ctx).is_valid(_message(purpose, holder, body), mac.hex()):
        return "challenge: not made for this browser and purpose"
    return "challenge: over" if ctx.now >= _end_of(challenge) else ""


def use_challenge(unit: SystemUnit | TenantUnit, challenge: str) -> bool:
    """Uses a challenge that counts: of concurrent calls, one gets True."""
    return passkey_rows.use_up(unit, challenge, _end_of(challenge))


def _end_of(challenge: str) -> int:
    return int.from_bytes(base64url.decode(challenge)[_RANDOM : _RANDOM + _END])


def _message(purpose: Purpose, holder: str, body: bytes) -> bytes:
    return b"\0".join((b"passkey", purpose.encode(), holder.encode(), body))
