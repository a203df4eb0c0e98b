"""The benchmark keeps comparisons with other servers, and shows what moved on the same processor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import history
from bench.readings import Broken


def _comparison(path: Path, *rounds: tuple[float, float, float], ours: str = "manifest-auth-pg") -> Path:
    """Each round: our sign-ins per second, the other server's, and the share of other programs."""
    runs = {
        ours: [{"signin_32": {"rps": own, "foreign": foreign}, "cold_s": 1.0} for own, _, foreign in rounds],
        "peer-pg": [{"signin_32": {"rps": other, "foreign": 0.0}, "cold_s": 0.5} for _, other, _ in rounds],
    }
    limits = [{"hash": {"Argon2id, one": {"1": 80, "2": 150}, "Argon2id, two": {"1": 60, "2": 100}}} for _ in rounds]
    path.write_text(json.dumps({"at": "2026-12-01 12:00", "host": {"cores": 2}, "limits": limits, "runs": runs}))
    return path


def test_ratios_are_kept_by_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, result = tmp_path / "history.jsonl", tmp_path / "result.json"
    monkeypatch.setattr(history.machine, "processor", lambda: "processor A")
    history.keep(_comparison(result, (120, 100, 0), (150, 100, 0), (10, 100, 0.5)), file)
    monkeypatch.setattr(history.machine, "processor", lambda: "processor B")
    assert "never measured" in history.keep(_comparison(result, (90, 100, 0)), file)
    monkeypatch.setattr(history.machine, "processor", lambda: "processor A")
    shown = history.keep(_comparison(result, (162, 100, 0)), file)
    first, _, last = [json.loads(line) for line in file.read_text().splitlines()]
    # The third round was disturbed. A start that takes twice as long is half as good.
    assert first["ratios"] == {
        "peer-pg": {"signin_32.rps": 1.35, "cold_s": 0.5},
        "fastest Argon2id": {"signin_32.rps": 0.9},
    }
    assert (last["target"], last["processor"]) == ("manifest-auth-pg", "processor A")
    assert next(line.split()[-3:] for line in shown.splitlines() if "signin_32" in line) == ["1.62", "1.35", "+20%"]
    with pytest.raises(Broken):
        history.keep(_comparison(result, (1, 1, 0), ours="other"), file)
