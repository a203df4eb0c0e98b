"""Types of arguments that several commands share."""

from __future__ import annotations

import os
from pathlib import Path


def given_path(text: str) -> Path:
    """The type of all arguments that name a file or folder. Relative paths start at the operator's current folder. A
    service's command runs in the service's folder, and passes on the folder that it was called from
    (``deploy/as-service``)."""
    return Path(os.environ.get("MANIFEST_AUTH_CALLED_FROM", ""), text)
