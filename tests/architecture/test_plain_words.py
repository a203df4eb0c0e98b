"""Words of an earlier vocabulary stay out of code, tests, and docs: each has a standard term, or hides the actor."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.architecture.links import ROOT
from tests.support.matrix import matrix

#: The first four were names of program parts; the last two hide the actor.
_WORDS = re.compile(r"\b(house|room|floor|corridor|whoever|somebody)\b", re.IGNORECASE)
#: File: words that it uses with their ordinary English meaning.
_PLAIN: dict[str, set[str]] = {
    "src/manifest_auth/pages/console/provider_views.py": {"room"},
    "tests/browser/test_console.py": {"floor"},
    "tests/http/pages/test_whom_to_ask.py": {"room"},
}


def _files(folder: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", folder], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and ROOT / name != Path(__file__).resolve()]


def found(path: Path) -> list[str]:
    """Line and word of each use in a file; none if the file isn't text."""
    try:
        text = path.read_text("utf-8")
    except (UnicodeDecodeError, FileNotFoundError):  # an image, or deleted but not committed yet
        return []
    allowed = _PLAIN.get(path.relative_to(ROOT).as_posix(), set())
    uses = ((number, word.lower()) for number, line in enumerate(text.splitlines(), 1) for word in _WORDS.findall(line))
    return [f"{path.relative_to(ROOT)}:{number}: {word}" for number, word in uses if word not in allowed]


@matrix("folder", ["src", "sdk", "tests", "docs", "bench", "deploy"])
def test_no_word_of_the_earlier_vocabulary_is_used(folder: str) -> None:
    files = _files(folder)
    assert files
    assert [use for path in files for use in found(path)] == []


def test_a_use_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("Roommates are fine.\nThe Room of whoever asks.\n", "utf-8")
    assert found(page) == ["page.md:2: room", "page.md:2: whoever"]
