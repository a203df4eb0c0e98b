"""Makes the server work in smaller steps, or break off after one."""

from __future__ import annotations

import pytest

from manifest_auth.api.graphql import execution, limits
from manifest_auth.audit import query
from manifest_auth.clients.providers import changes as provider_delete


def audit_search(patch: pytest.MonkeyPatch, size: int, most: int | None = None) -> None:
    """A search in the audit trail looks at so many events in a step, and takes so many steps at most."""
    patch.setattr(query, "STEP", size)
    if most is not None:
        patch.setattr(query, "STEPS", most)


def provider_deletion(patch: pytest.MonkeyPatch, size: int) -> None:
    """A provider is deleted with so many people in a step."""
    patch.setattr(provider_delete, "STEP", size)


def provider_deletion_breaks(patch: pytest.MonkeyPatch, at: int) -> None:
    """The process ends in the step of this number."""
    steps, step = 0, provider_delete._step

    def breaks(*given: object, **named: object) -> bool:
        nonlocal steps
        steps += 1
        if steps == at:
            raise RuntimeError("the process ends")
        return step(*given, **named)  # type: ignore[arg-type]

    patch.setattr(provider_delete, "_step", breaks)


def graphql_without_limits(patch: pytest.MonkeyPatch) -> None:
    """A document may cost and take as much as it likes."""
    patch.setattr(limits, "MAX_COST", 10**7)
    patch.setattr(execution, "DEADLINE_S", 60.0)
