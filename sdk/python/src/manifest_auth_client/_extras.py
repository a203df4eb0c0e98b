"""Features that need an extra of the library, and the extra."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def extra(name: str, needed_for: str) -> Iterator[None]:
    """Imports within it name the extra to install where their package is missing. Raises ImportError."""
    try:
        yield
    except ModuleNotFoundError as missing:
        hint = f'{needed_for} needs {missing.name}. Install it with: pip install "manifest-auth-client[{name}]"'
        raise ImportError(hint, name=missing.name) from missing
