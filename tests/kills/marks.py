"""What a victim tells of itself, in a file that is there after it was killed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from alembic import command

#: Names the file.
VARIABLE = "UPGRADE_MARK"


def upgrade() -> None:
    """In the victim: says when its upgrade begins and when it is made, but not committed yet."""
    real = command.upgrade

    def marked(*given: Any) -> None:
        path = Path(os.environ[VARIABLE])
        path.write_text("begun")
        real(*given)
        path.write_text("made")

    command.upgrade = marked  # type: ignore[assignment]
