"""What ``doctor`` says of all that is sealed: whether the secret keys open it, and what helps where they do not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from manifest_auth.operations import reencrypt
from manifest_auth.operations.reencrypt import Sealed
from manifest_auth.runtime.sealing import CannotOpen, Sealer
from manifest_auth.store import Store
from manifest_auth.store.tables import sealed_for

SECONDS = 20.0  # of an operator who waits; what is left is looked at by `keys reencrypt`
NAMED = 10  # rows of each column; the others are counted
_PUT_BACK = "put the key that sealed it behind the others (docs/operations.md, Secret key)"
#: What to do where that key is lost.
_LOST = {
    "signing_keys.secret": "without it no server starts",
    "providers.secrets": "without it delete the provider and make it anew",
    "admin_second_factors.secret": "without it another system admin resets the second factor",
    "sign_in_flows.secrets": "without it those people begin their sign-in again",
    "directory_proofs.secrets": "without it those proofs of a directory begin again",
    "kept_tokens.tokens": "without it those people sign in again",
    "queued_mails.mail": "without it those e-mails are given up within the hour; ask for their links again",
}


class _Walk:
    """How far one column was looked at."""

    def __init__(self, part: Sealed) -> None:
        self.part = part
        self.seen, self.is_over = 0, False
        self.lost: list[str] = []
        self._after: dict[str, Any] | None = None

    async def step(self, store: Store, sealer: Sealer) -> None:
        """The next rows, read in a unit of their own; they are opened outside of it."""
        part, after = self.part, self._after
        statement, values = (part.first, {}) if after is None else (part.next, after)
        found = [
            dict(zip(part.shown, row, strict=True))
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


async def sealed_findings(store: Store, sealer: Sealer, show: Callable[[str, int], None]) -> list[tuple[str, str]]:
    """Level and text of each. Reads only, a step of each column in turn, for :data:`SECONDS` at the most; ``show`` is
    told how many values were looked at."""
    walks = [_Walk(part) for part in reencrypt.SEALED]
    until = time.monotonic() + SECONDS
    while (going := [walk for walk in walks if not walk.is_over]) and time.monotonic() < until:
        for walk in going:
            await walk.step(store, sealer)
        show("opening sealed values", sum(walk.seen for walk in walks))
    seen, lost = sum(walk.seen for walk in walks), sum(len(walk.lost) for walk in walks)
    if seen and lost == seen:
        return [("bad", "signing keys: the secret key is not the one that this store was made with; restore it")]
    found = [("bad", _text(walk)) for walk in walks if walk.lost]
    if unseen := [walk.part.name for walk in walks if not walk.is_over]:
        advice = "`keys reencrypt` looks at all and names what does not open"
        found.append(("note", f"sealed values: {seen} were looked at; of {', '.join(unseen)} not all; {advice}"))
    elif not lost:
        found.append(("ok", f"signing keys: the secret key opens them and all else that is sealed, {seen} values"))
    return found


def _text(walk: _Walk) -> str:
    more = f" and {len(walk.lost) - NAMED} more" if len(walk.lost) > NAMED else ""
    otherwise = _LOST.get(walk.part.name, "without it that value is lost")
    return f"sealed values: no secret key opens {', '.join(walk.lost[:NAMED])}{more}; {_PUT_BACK}; {otherwise}"
