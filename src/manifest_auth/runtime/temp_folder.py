"""Temporary folders of a process, and :func:`sync`, which makes the names in a folder durable.

A folder is deleted when its process ends; the next process deletes those of killed processes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def own_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """A folder in ``parent``, else in the system's folder for temporary files, readable by this user only. Raises
    OSError.

    A process locks its folder. The kernel releases the lock when the process is killed; then another process may delete
    the folder.
    """
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    for path in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError), _locked(path):
            shutil.rmtree(path)
    with contextlib.ExitStack() as stack:
        yield _create(stack, prefix, parent)


def _create(stack: contextlib.ExitStack, prefix: str, parent: Path) -> Path:
    """Creates and locks a folder. Another process that looks for dead folders between the two steps deletes it; then a
    new one is created. On a file system without locks the folder is used unlocked, and no process deletes it."""
    for _ in range(5):
        made = tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(made))
        with contextlib.suppress(OSError):
            stack.enter_context(_locked(folder))
            if folder.exists():
                break
    return folder


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Locks a folder. Raises OSError when another process has locked it, or when it is not a folder of this user."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise PermissionError(f"{folder} belongs to another user")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def sync(folder: Path) -> None:
    """Makes created and renamed names in the folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
