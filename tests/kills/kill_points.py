"""Points at which a process waits to be killed, and files that show its progress."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Engine, event

from tests.releases import next_release

#: Contains the path of the file.
VARIABLE = "UPGRADE_MARK"
#: Contains the folder with the next release's migrations, if the victim should know them.
NEXT = "UPGRADE_NEXT"
_STOP = "stop"  # a file next to it, with the number of a statement


def stop_at(folder: Path, statement: int) -> None:
    """Make the next upgrade wait before that statement until it's killed, but not later upgrades."""
    (folder / _STOP).write_text(str(statement))


def upgrade() -> None:
    """Record in the victim when its upgrade has `begun`, is `stopped`, and is `made` (before the commit), with the
    number of statements."""
    if NEXT in os.environ:
        next_release.learn(Path(os.environ[NEXT]), pytest.MonkeyPatch())
    path = Path(os.environ[VARIABLE])
    stop = path.parent / _STOP
    real = command.upgrade
    count = 0

    @event.listens_for(Engine, "before_cursor_execute")
    def counted(*_: Any) -> None:
        nonlocal count
        count += 1
        if stop.exists() and count == int(stop.read_text()):
            stop.unlink()
            path.write_text("stopped")
            time.sleep(3600)

    def marked(*given: Any) -> None:
        nonlocal count
        count = 0
        path.write_text("begun")
        real(*given)
        path.write_text(f"made {count}")

    command.upgrade = marked  # type: ignore[assignment]
