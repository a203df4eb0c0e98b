"""Repetitions of tests that benefit from them: the command-line option ``--rounds``."""

from __future__ import annotations

import os
from typing import TypeVar

_T = TypeVar("_T")
#: A run with this many rounds is a run before a release, which includes every test.
RELEASE = 50


def is_release() -> bool:
    """Whether this is a run before a release."""
    return int(os.environ["TESTS_ROUNDS"]) >= RELEASE


def repeated(before_a_release: _T, otherwise: _T) -> _T:
    """Choose the number or length of repetitions in this run."""
    return before_a_release if is_release() else otherwise
