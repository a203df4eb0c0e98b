"""``doctor``: whether passkeys work at the public address, and whether it voids those that were made."""

from __future__ import annotations

from manifest_auth.runtime.settings import Settings
from manifest_auth.sign_in.passkeys import relying_party
from manifest_auth.store import Store


async def passkey_findings(settings: Settings, store: Store) -> list[tuple[str, str]]:
    """Levels and texts of the findings."""
    now = await relying_party.look_at_passkeys(store, settings)
    found = []
    if now.void:
        made_for = now.kept if now.rp_id != now.kept else "another name"
        found.append(("bad", f"passkeys: {now.void} were made for {made_for} and do not work at {settings.public_url}: "
                             "put MANIFEST_PUBLIC_URL back, or their owners have to add new ones"))  # fmt: skip
    if now.why_off:
        return [*found, ("note", f"passkeys: off, since {now.why_off}")]
    if settings.passkey_rp_id and settings.passkey_rp_id != now.rp_id:
        found.append(("note", f"passkeys: MANIFEST_PASSKEY_RP_ID is not used; the first passkey was made for "
                              f"{now.kept}, and all belong to that"))  # fmt: skip
    return found or [("ok", f"passkeys: they belong to {now.rp_id}")]
