"""Usable cores of this process, from its affinity and the quotas of its control group and all parent groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from manifest_auth.runtime.os_process import usable_cores
from tests.support.matrix import matrix


@matrix(
    ("quotas", "cores"),
    [
        ({}, 8),
        ({"": "max 100000"}, 8),
        ({"": "250000 100000"}, 3),
        ({"pod/node": "10000 100000"}, 1),
        ({"pod": "200000 100000", "pod/node": "max 100000"}, 2),
        ({"": "900000 100000"}, 8),
        ({"pod": "broken"}, 8),
    ],
    ids=str,
)
def test_a_quota_lowers_the_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quotas: dict[str, str], cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    (tmp_path / "own").write_text("1:name=x:/y\n0::/pod/node\n")
    for folder in ("pod/node", *quotas):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for folder, quota in quotas.items():
        (tmp_path / folder / "cpu.max").write_text(f"{quota}\n")
    assert usable_cores(tmp_path, tmp_path / "own") == cores
    assert usable_cores(tmp_path, tmp_path / "none") == 8
