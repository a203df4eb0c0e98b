"""Smaller budgets for what anonymous callers leave in the store, so that a test reaches the limit."""

from __future__ import annotations

import pytest

from manifest_auth.sign_in.providers import saml_responses
from manifest_auth.throttle import limits

#: How long a budget of audit events lasts, in seconds.
EVENTS_S = limits.EVENTS_S


def few_events(patch: pytest.MonkeyPatch, from_address: int, in_client: int | None = None) -> None:
    """So many audit events of one class from an address in a span of time, and of all addresses in a client."""
    patch.setattr(limits, "EVENTS_FROM_ADDRESS", from_address)
    if in_client is not None:
        patch.setattr(limits, "EVENTS_IN_CLIENT", in_client)


def few_beginnings(patch: pytest.MonkeyPatch, free: int) -> None:
    """So many sign-ins may be begun and not finished before the next one waits."""
    patch.setattr(limits, "STARTED_FLOWS", limits.STARTED_FLOWS._replace(free=free))


def few_responses(patch: pytest.MonkeyPatch, free: int) -> None:
    """So many SAML responses may be wrong before the next one waits."""
    patch.setattr(saml_responses, "RESPONSES", saml_responses.RESPONSES._replace(free=free))
