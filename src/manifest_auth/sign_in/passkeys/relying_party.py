"""The one relying party of the installation: its RP ID, which the first passkey fixes, and its origins.

A passkey works for its RP ID alone. Under a public address outside of it, all passkeys that were made are void; new
ones then belong to the new address.
"""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth.accounts.factors import passkey_rows
from manifest_auth.errors import Conflict
from manifest_auth.runtime.settings import (
    Settings,
    is_below,
    passkey_origins,
    passkey_rp_id,
    public_host,
    why_no_passkeys,
)
from manifest_auth.store import SystemUnit, TenantUnit, installation_values

_NAME = "passkey_rp_id"


class RelyingParty(NamedTuple):
    id: str
    origins: tuple[str, ...]


def current(unit: SystemUnit, settings: Settings) -> RelyingParty:
    """The relying party at the public address. Raises Conflict where browsers make no passkeys there."""
    if why := why_no_passkeys(settings):
        raise Conflict("Passkeys are not available at this address", reason=why)
    return RelyingParty(effective_id(kept(unit), settings), passkey_origins(settings))


def id_in_force(unit: SystemUnit | TenantUnit, settings: Settings) -> str:
    """The RP ID for which a passkey works at the public address; empty where none does."""
    return "" if why_no_passkeys(settings) else effective_id(kept(unit), settings)


def knows_any(unit: TenantUnit, settings: Settings, user_id: int) -> bool:
    """Whether the user has a passkey that works at the public address."""
    rp_id = id_in_force(unit, settings)
    return bool(rp_id) and passkey_rows.count_of(unit, user_id, rp_id) > 0


def kept(unit: SystemUnit | TenantUnit) -> str:
    """The RP ID that the first passkey fixed; empty before it."""
    return installation_values.get(unit, _NAME) or ""


def effective_id(kept_id: str, settings: Settings) -> str:
    """The kept RP ID where the public host is below it, else that of the settings."""
    return kept_id if kept_id and is_below(public_host(settings), kept_id) else passkey_rp_id(settings)


def keep(unit: SystemUnit, rp_id: str) -> None:
    """Fixes the RP ID, with a passkey of it."""
    if kept(unit) != rp_id:
        installation_values.put(unit, _NAME, rp_id)
