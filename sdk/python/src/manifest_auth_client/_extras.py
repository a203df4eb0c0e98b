"""Checks for the optional packages that some features need."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def extra(name: str, needed_for: str) -> Iterator[None]:
    """Adds the name of the extra to install to the ImportError, if an import inside the context fails."""
    try:
        yield
    except ModuleNotFoundError as missing:
        hint = f'{needed_for} needs {missing.name}. Install it with: pip install "manifest-auth-client[{name}]"'
        raise ImportError(hint, name=missing.name) from missing
