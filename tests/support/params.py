"""Parameters of which ``./dev test`` tries some, and ``./dev endurance`` the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def some_of(values: Iterable[Any], *quick: Any) -> list[Any]:
    """All ``values``; those that are not ``quick`` are left to ``./dev endurance``."""
    values = list(values)
    assert all(value in values for value in quick), quick
    return [value if value in quick else pytest.param(value, marks=pytest.mark.endurance) for value in values]


def few_and_many(few: int, many: int) -> list[Any]:
    """How many examples; ``many`` in ``./dev endurance`` alone."""
    return [pytest.param(few, id="few"), pytest.param(many, id="many", marks=pytest.mark.endurance)]
