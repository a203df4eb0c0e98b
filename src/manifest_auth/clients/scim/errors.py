"""Errors of SCIM (RFC 7644, section 3.12) for the refusals of this server."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth.errors import NoSeat, Refusal

_TYPES = {400: "invalidValue", 409: "uniqueness"}


class ScimError(NamedTuple):
    """An error. ``scim_type`` is None if its status says enough."""

    status: int
    scim_type: str | None
    detail: str


def error_of(refusal: Refusal) -> ScimError:
    """Returns the error for a refusal. The details name the invalid attributes."""
    status = 403 if isinstance(refusal, NoSeat) else refusal.status
    detail = "; ".join(f"{field}: {text}" for field, text in refusal.details) or str(refusal.message)
    return ScimError(status, _TYPES.get(status), detail)
