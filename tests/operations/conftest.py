"""Fixtures: an installation with some data, and a backup of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from manifest_auth.maintenance.backup import back_up
from tests.operations.used_installation import make, quiet, settings_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installation; no server runs on it."""
    return make(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def saved(made: Path) -> Path:
    """A backup of it."""
    back_up(settings_of(made), made / "saved.tar", quiet)
    return made / "saved.tar"


@pytest.fixture
def no_e_mail_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that tests make up in every table are no emails: no background job takes them away."""
    monkeypatch.setattr("manifest_auth.accounts.mail_queue.due", lambda *_: [])


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The present folder is the test's own."""
    monkeypatch.chdir(tmp_path)
