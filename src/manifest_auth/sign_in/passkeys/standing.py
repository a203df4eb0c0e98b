"""Whether passkeys work at the public address, and how many were made for another one: for the operator."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth.accounts.factors import passkey_rows
from manifest_auth.runtime.logs import FilteringBoundLogger
from manifest_auth.runtime.settings import Settings, why_no_passkeys
from manifest_auth.sign_in.passkeys import relying_party
from manifest_auth.store import Store, SystemUnit


class Standing(NamedTuple):
    """``why_off``: empty where they work; ``rp_id``: of new ones; ``kept``: the RP ID that the last first passkey
    fixed, empty before it; ``void``: passkeys of another RP ID."""

    why_off: str
    rp_id: str
    kept: str
    void: int


async def look(store: Store, settings: Settings, *, counts: bool = True) -> Standing:
    """What holds at this public address. ``counts``: looks for void passkeys even where the address is as it was."""

    def work(unit: SystemUnit) -> Standing:
        why, kept = why_no_passkeys(settings), relying_party.kept(unit)
        rp_id = relying_party.id_in_force(unit, settings)
        looks = bool(kept) and (counts or rp_id != kept)
        return Standing(why, rp_id, kept, passkey_rows.count_foreign(unit, rp_id) if looks else 0)

    return await store.read(work)


async def say(store: Store, settings: Settings, log: FilteringBoundLogger) -> None:
    """Logs at a start that passkeys are off, or that the public address voids those that were made."""
    found = await look(store, settings, counts=False)
    if found.why_off:
        log.info("passkeys_off", why=found.why_off)
    if found.void:
        log.warning("passkeys_void", passkeys=found.void, made_for=found.kept, public_url=settings.public_url)
