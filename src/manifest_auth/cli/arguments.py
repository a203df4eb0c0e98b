"""Types of arguments that several commands share."""

from __future__ import annotations

import os
from pathlib import Path


def given_path(text: str) -> Path:
    """The type of every argument that names a file or folder: relative ones start where the operator is. The command
    of a service runs in the service's folder, and passes on from where it was called (``deploy/as-service``)."""
    return Path(os.environ.get("MANIFEST_AUTH_CALLED_FROM", ""), text)
