"""Log lines of a test's application."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from unittest import mock

from manifest_auth.runtime import logs
from tests.support.application import App


@contextlib.contextmanager
def logged(app: App) -> Iterator[io.BytesIO]:
    """Collect the lines that the application logs inside the block, at the lowest level."""
    lines, before = io.BytesIO(), app.services.log
    stderr = io.TextIOWrapper(lines, write_through=True)
    with mock.patch.object(sys, "stderr", stderr):
        app.services.log = logs.build("debug")
        try:
            yield lines
        finally:
            app.services.log = before
            stderr.detach()
