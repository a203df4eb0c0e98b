"""Fixtures: an installation with some data, and a backup of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from manifest_auth.maintenance.backup import back_up
from tests.operations.used_installation import make, quiet, settings_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation without a running server."""
    return make(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def saved(made: Path) -> Path:
    """A backup of the installation."""
    back_up(settings_of(made), made / "saved.tar", quiet)
    return made / "saved.tar"


@pytest.fixture
def no_e_mail_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep background jobs from deleting the made-up rows in every table, which aren't emails."""
    monkeypatch.setattr("manifest_auth.accounts.mail_queue.due", lambda *_: [])


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the test's folder the current one."""
    monkeypatch.chdir(tmp_path)
