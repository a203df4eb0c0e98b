"""Authentication of a person as the provider reports it: methods, context and time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

_LAST_S = 253_402_300_800  # the year 10000


class Proof(NamedTuple):
    """How the provider authenticated the person: ``amr``, ``acr`` and ``auth_time`` (OpenID Connect Core, section 2),
    or authentication context and instant (SAML core, section 2.7.2); empty where it does not say. ``at``: the same
    time in milliseconds, None where it does not say; ``acrs``: authentication contexts of Entra ID."""

    amr: tuple[str, ...] = ()
    acr: str = ""
    auth_time: str = ""
    at: int | None = None
    acrs: tuple[str, ...] = ()


def proof_of(claims: Mapping[str, Any]) -> Proof:
    """The proof of verified claims. Values of other types count as absent."""
    amr, acr, acrs, at = (claims.get(name) for name in ("amr", "acr", "acrs", "auth_time"))
    number: float | None = at if isinstance(at, int | float) and not isinstance(at, bool) else None
    return Proof(
        _texts(amr),
        acr if isinstance(acr, str) else "",
        "" if number is None else str(number),
        int(number * 1000) if number is not None and 0 < number < _LAST_S else None,  # a float may be infinite
        (acrs,) if isinstance(acrs, str) else _texts(acrs),
    )


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
