"""Stores for tokens: a protocol, an in-memory store, and a file that processes can share."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Protocol, runtime_checkable

from manifest_auth_client.tokens import Tokens


class TokenStore(Protocol):
    """Keeps the tokens of one session. To use a database or a key ring, implement these two methods.

    >>> class Dictionary:
    ...     kept: Tokens | None = None
    ...     def load(self) -> Tokens | None:
    ...         return self.kept
    ...     def save(self, tokens: Tokens | None, *, replaces: Tokens | None) -> bool:
    ...         if self.kept != replaces:
    ...             return False
    ...         self.kept = tokens
    ...         return True
    >>> store: TokenStore = Dictionary()
    """

    def load(self) -> Tokens | None:
        """Returns the stored tokens; None if there are none, such as after a sign-out."""

    def save(self, tokens: Tokens | None, *, replaces: Tokens | None) -> bool:
        """Atomically and durably replaces the stored tokens with ``tokens``, or removes them if None. Returns False and
        changes nothing if the stored tokens are no longer ``replaces``."""


@runtime_checkable
class LockingTokenStore(TokenStore, Protocol):
    """A store with a lock. If processes share a store, the lock prevents one from sending a refresh token that another
    has just replaced.

    >>> isinstance(MemoryTokenStore(), LockingTokenStore)
    True
    """

    def lock(self) -> AbstractContextManager[object]:
        """Returns a lock to hold from ``load`` to ``save`` of a refresh, including the server call. The same thread can
        acquire it again."""


class MemoryTokenStore:
    """Keeps tokens while the process runs. This is the default.

    >>> store = MemoryTokenStore()
    >>> store.load() is None
    True
    """

    def __init__(self) -> None:
        self._kept: Tokens | None = None
        self._lock = threading.RLock()

    def lock(self) -> AbstractContextManager[object]:
        """Returns a lock that one thread can hold at a time."""
        return self._lock

    def load(self) -> Tokens | None:
        """Returns the stored tokens."""
        return self._kept

    def save(self, tokens: Tokens | None, *, replaces: Tokens | None) -> bool:
        """Stores the tokens if the stored ones are still ``replaces``."""
        with self._lock:
            if self._kept != replaces:
                return False
            self._kept = tokens
            return True


class FileTokenStore:
    """Keeps tokens in a file that only its owner can read (mode 0600). Processes on one machine can share it.

    ``path`` is the file. Its folder is created with mode 0700. A ``.lock`` file next to it lets one process refresh at
    a time. If others can read the file, PermissionError is raised, because its tokens are no longer secret.

    >>> store = FileTokenStore(folder / "tokens.json")
    >>> store.save(auth.sign_in("ada@acme.example", "kestrel-harbor-21").tokens, replaces=None)
    True
    >>> oct((folder / "tokens.json").stat().st_mode)[-3:]
    '600'
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path).expanduser()
        self._mine = threading.RLock()
        self._depth = 0

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Locks the store for one thread of one process; others wait. The lock ends with the process, however it
        ends."""
        with self._mine:
            self._depth += 1
            try:
                if self._depth > 1:
                    yield
                else:
                    self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    beside = self._path.with_name(f"{self._path.name}.lock")
                    with os.fdopen(os.open(beside, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
                        _lock(file)
                        yield
            finally:
                self._depth -= 1

    def load(self) -> Tokens | None:
        """Returns the tokens in the file; None if there is no file. Raises PermissionError if others can read it."""
        try:
            with self._path.open(encoding="utf-8") as file:
                if os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o077:
                    raise PermissionError(f"{self._path} can be read by others: delete it and sign in again")
                return Tokens.of_dict(json.load(file))
        except FileNotFoundError:
            return None

    def save(self, tokens: Tokens | None, *, replaces: Tokens | None) -> bool:
        """Writes the whole file or nothing, and syncs it to the disk."""
        with self.lock():
            if self.load() != replaces:
                return False
            if tokens is None:
                self._path.unlink(missing_ok=True)
                return True
            number, name = tempfile.mkstemp(dir=self._path.parent, prefix=f"{self._path.name}.")  # mode 0600
            try:
                with os.fdopen(number, "w", encoding="utf-8") as file:
                    json.dump(tokens.as_dict(), file)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(self._path)
            except BaseException:
                Path(name).unlink()
                raise
            return True


def _lock(file: IO[bytes]) -> None:
    """Acquires the lock of the file, which ends when the file is closed."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
