"""The page of the docs that lists the reasons why a sign-in at a provider is refused: log and audit trail have them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import manifest_auth
from manifest_auth.errors import Reason

#: The packages that declare reasons.
PACKAGES = ("protocols", "providers", "sign_in", "tenants")

_HEAD = """\
# Why a sign-in was refused

<!-- Made from the `Reason`s that modules of `src/manifest_auth` declare, by `./dev docs`; edit those instead. -->

People see one sentence; the reason is for you: in the log (`refused`, with `reason`) and, where the client is known, in
its audit trail (`sign_in_failed` and `sign_in_refused`, `detail.why`). Both carry the request id that the answer shows.
Where several rows fit a `why`, the first one is about it.

| `why` begins with | cause | cure |
| --- | --- | --- |
"""


def declared() -> Iterator[Reason]:
    """Yield each reason, module by module."""
    for package in PACKAGES:
        within = f"{manifest_auth.__name__}.{package}"
        for module in pkgutil.walk_packages(importlib.import_module(within).__path__, f"{within}."):
            found = vars(importlib.import_module(module.name)).values()
            yield from (value for value in found if isinstance(value, Reason))


def reasons_page() -> str:
    """Return the page (Markdown): a row for each cause, in the order of the alphabet, so that ``…`` comes last."""
    rows: dict[tuple[str, str], set[str]] = {}
    for reason in declared():
        rows.setdefault((reason.cause, reason.cure), set()).add(reason.text)
    table = sorted((sorted(texts, key=str.casefold), *why) for why, texts in rows.items())
    return _HEAD + "".join(
        f"| {', '.join(f'`{text}`' for text in texts)} | {cause} | {cure} |\n" for texts, cause, cure in table
    )
