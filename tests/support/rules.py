"""A mark for tests that verify rules of ``docs/reference/security.md``: ``@rule("PASSWORD-LENGTH")``."""

from __future__ import annotations

import pytest

rule = pytest.mark.rule
