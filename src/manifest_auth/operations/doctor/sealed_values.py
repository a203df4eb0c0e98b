"""``doctor``: checks whether the secret keys open all sealed values, and names the remedy where they do not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from manifest_auth.operations import reencrypt
from manifest_auth.operations.reencrypt import Sealed
from manifest_auth.runtime.sealing import CannotOpen, Sealer
from manifest_auth.store import Store
from manifest_auth.store.tables import sealed_for

SECONDS = 20.0  # an operator waits for this; `keys reencrypt` checks the rest
NAMED = 10  # rows named for each column; the others are counted
_PUT_BACK = "add the key that sealed it after the others (docs/operations/backup.md, Secret key)"
#: The remedy where that key is lost.
_LOST = {
    "signing_keys.secret": "without it, run manifest-auth keys lost",
    "providers.secrets": "without it, run manifest-auth keys lost, and enter the provider's secret again",
    "admin_second_factors.secret": "without it another system admin resets the second factor",
    "user_totps.secret": "without it, those users use a recovery code, or a manager resets their factors",
    "user_totps.next_secret": "without it, those users begin to set their authenticator app up again",
    "sign_in_challenges.secrets": "without it, those users have to start their sign-in again",
    "sign_in_flows.secrets": "without it, those users have to start their sign-in again",
    "badge_pins.pepper": "without it, those users need a new PIN",
    "directory_proofs.secrets": "without it, those proofs of a directory have to start again",
    "kept_tokens.tokens": "without it, those users have to sign in again",
    "queued_mails.mail": "without it, those e-mails expire within the hour; request their links again",
}


class _ColumnWalk:
    """The progress of the check of one column."""

    def __init__(self, part: Sealed) -> None:
        self.part = part
        self.seen, self.is_over = 0, False
        self.lost: list[str] = []
        self._after: dict[str, Any] | None = None

    async def step(self, store: Store, sealer: Sealer) -> None:
        """Checks the next rows: read in their own unit of work, opened outside of it."""
        part, after = self.part, self._after
        statement, values = (part.first, {}) if after is None else (part.next, after)
        found = [
            dict(zip(part.columns, row, strict=True))
            for row in await store.read(lambda unit: unit.all(statement, **values))
        ]
        for row in found:
            name = sealed_for(part.column, **row)
            try:
                sealer.open(row[part.column.name], name)
            except CannotOpen:
                self.lost.append(name)
        self.seen += len(found)
        self.is_over = len(found) < reencrypt.STEP
        if found:
            self._after = part.key_of(found[-1], "after")


async def sealed_findings(
    store: Store, sealer: Sealer, show: Callable[[str, int], None], seconds: float = SECONDS
) -> list[tuple[str, str]]:
    """Levels and texts of the findings. Reads only, a step of each column in turn, for at most ``seconds``;
    ``show`` gets the number of checked values."""
    walks = [_ColumnWalk(part) for part in reencrypt.SEALED]
    until = time.monotonic() + seconds
    while (going := [walk for walk in walks if not walk.is_over]) and time.monotonic() < until:
        for walk in going:
            await walk.step(store, sealer)
        show("opening sealed values", sum(walk.seen for walk in walks))
    seen, lost = sum(walk.seen for walk in walks), sum(len(walk.lost) for walk in walks)
    if seen and lost == seen:
        return [("bad", "signing keys: the secret key is not the one that this store was made with; restore "
                        "it, or see docs/operations/backup.md, Lost secret key")]  # fmt: skip
    found = [("bad", _text(walk)) for walk in walks if walk.lost]
    if unseen := [walk.part.name for walk in walks if not walk.is_over]:
        advice = "`keys reencrypt` checks all and names those that do not open"
        found.append(("note", f"sealed values: {seen} were checked; of {', '.join(unseen)} not all; {advice}"))
    elif not lost:
        found.append(("ok", f"signing keys: the secret key opens them and all else that is sealed, {seen} values"))
    return found


def _text(walk: _ColumnWalk) -> str:
    more = f" and {len(walk.lost) - NAMED} more" if len(walk.lost) > NAMED else ""
    otherwise = _LOST.get(walk.part.name, "without it, that value is lost")
    return f"sealed values: no secret key opens {', '.join(walk.lost[:NAMED])}{more}; {_PUT_BACK}; {otherwise}"
