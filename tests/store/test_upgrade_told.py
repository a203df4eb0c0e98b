"""Progress messages of an upgrade."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from manifest_auth.store import migrate
from manifest_auth.store.migrate import Progress, told_again
from tests.releases import next_release
from tests.support.secret_keys import the_keys


def test_the_newest_step_is_told_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "_PAUSE_S", 0.001)
    told: list[tuple[str, int, int]] = []
    often = threading.Event()

    def progress(what: str, done: int, of: int) -> None:
        told.append((what, done, of))
        if len(told) > 5:
            often.set()

    with told_again("0013", progress) as step:
        step("users", 1, 9)
        assert often.wait(30)
    assert set(told) == {("upgrading the schema to 0013: users", 1, 9)}


async def test_a_revision_tells_its_steps(empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    next_release.learn(tmp_path, monkeypatch)
    told: list[tuple[str, int, int]] = []

    @contextlib.contextmanager
    def at_once(schema: str, progress: Progress) -> Iterator[Progress]:
        yield lambda *step: progress(schema, *step[1:])

    monkeypatch.setattr(migrate, "told_again", at_once)
    assert await migrate.upgrade(empty_url, the_keys, lambda *step: told.append(step)) is True
    assert told == [(next_release.SCHEMA, 0, 2)]
