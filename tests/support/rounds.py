"""Repetitions of proofs that gain from being repeated: ``--rounds`` of the command line."""

from __future__ import annotations

import os
from typing import TypeVar

_T = TypeVar("_T")
#: This many rounds are a run before a release, which leaves nothing out.
RELEASE = 50


def is_release() -> bool:
    """Whether this run is one before a release."""
    return int(os.environ["TESTS_ROUNDS"]) >= RELEASE


def repeated(before_a_release: _T, otherwise: _T) -> _T:
    """The number or length of repetitions in this run."""
    return before_a_release if is_release() else otherwise
