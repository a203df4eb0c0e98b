"""The mark of a test that shows rules of ``docs/reference/security.md``: ``@rule("PASSWORD-LENGTH")``."""

from __future__ import annotations

import pytest

rule = pytest.mark.rule
