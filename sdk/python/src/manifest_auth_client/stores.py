"""Stores of tokens: a protocol, a store in memory, and a file that several processes share."""

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
    """Keeps the tokens of one session. A database or a key ring becomes one with these two methods.

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
        """The tokens that are kept; None when there are none, as after a sign-out."""

    def save(self, tokens: Tokens | None, *, replaces: Tokens | None) -> bool:
        """Keeps ``tokens`` durably where ``replaces`` are still the ones kept, in one step; None keeps none. False:
        other tokens are kept by now, and nothing was changed."""


@runtime_checkable
class LockingTokenStore(TokenStore, Protocol):
    """A store that also lets one caller in at a time. Where processes share a store, this keeps one of them from
    showing a refresh token that another one has just replaced.

    >>> isinstance(MemoryTokenStore(), LockingTokenStore)
    True
    """

    def lock(self) -> AbstractContextManager[object]:
        """Held from ``load`` to ``save`` of a refresh, across the call of the server. The thread that holds it can take
        it again."""


class MemoryTokenStore:
    """Keeps tokens as long as the process lives: the default.

    >>> store = MemoryTokenStore()
    >>> store.load() is None
    True
    """

    def __init__(self) -> None:
        self._kept: Tokens | None = None
        self._lock = threading.RLock()

    def lock(self) -> AbstractContextManager[object]:
        """One thread at a time."""
        return self._lock

    def load(self) -> Tokens | None:
        """The tokens that are kept."""
        return self._kept

    def save(self, tokens: Tokens | None, *, replaces: Tokens | None) -> bool:
        """Keeps them where ``replaces`` are still the ones kept."""
        with self._lock:
            if self._kept != replaces:
                return False
            self._kept = tokens
            return True


class FileTokenStore:
    """Keeps tokens in a file that only its owner reads, mode 0600; processes of one machine can share it.

    ``path``: the file; its folder is made with mode 0700. Beside it lies ``.lock``, with which one process at a time
    refreshes. A file that others can read is rejected with PermissionError: what they have read is no secret anymore.

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
        """One thread of one process at a time; the others wait. It ends with the process, however that ends."""
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
        """The tokens in the file; None when there is no file. Raises PermissionError where others can read it."""
        try:
            with self._path.open(encoding="utf-8") as file:
                if os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o077:
                    raise PermissionError(f"{self._path} can be read by others: delete it and sign in again")
                return Tokens.of_dict(json.load(file))
        except FileNotFoundError:
            return None

    def save(self, tokens: Tokens | None, *, replaces: Tokens | None) -> bool:
        """Writes the file whole, or not at all, and onto the disk."""
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
    """Waits for the file's lock, which ends when it is closed."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)
