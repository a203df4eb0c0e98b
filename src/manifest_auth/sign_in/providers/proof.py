"""How a provider says that it authenticated a person: methods, context and time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

_LAST_S = 253_402_300_800  # the year 10000


class Proof(NamedTuple):
    """How the provider authenticated the person: ``amr``, ``acr`` and ``auth_time`` (OpenID Connect Core, section 2),
    or authentication context and instant (SAML core, section 2.7.2); empty where it does not say. ``at``: the same
    time in milliseconds, None where it does not say."""

    amr: tuple[str, ...] = ()
    acr: str = ""
    auth_time: str = ""
    at: int | None = None


def proof_of(claims: Mapping[str, Any]) -> Proof:
    """The proof of verified claims. Values of other types count as absent."""
    amr, acr, at = claims.get("amr"), claims.get("acr"), claims.get("auth_time")
    methods = tuple(one for one in amr if isinstance(one, str)) if isinstance(amr, list) else ()
    number: float | None = at if isinstance(at, int | float) and not isinstance(at, bool) else None
    at_ms = int(number * 1000) if number is not None and 0 < number < _LAST_S else None  # a float may be infinite
    return Proof(methods, acr if isinstance(acr, str) else "", "" if number is None else str(number), at_ms)
