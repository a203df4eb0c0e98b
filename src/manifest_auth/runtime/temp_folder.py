"""A folder for what a process has under way, gone when it ends; what killed processes left is cleared by the next. And
:func:`sync`, after which the names in a folder outlast a power cut."""

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
    """In ``parent``, else where the system keeps what is temporary; for this user alone. Raises OSError.

    A process locks its folder. The kernel lets go of the lock when the process is killed: then the folder is nobody's.
    """
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    for path in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError), _locked(path):
            shutil.rmtree(path)
    with contextlib.ExitStack() as stack:
        yield _made(stack, prefix, parent)


def _made(stack: contextlib.ExitStack, prefix: str, parent: Path) -> Path:
    """Who looks for dead folders in the moment between making and locking takes this for one: then another is made. On
    a file system without locks it is used as it is, and nobody can take it away."""
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
    """Raises OSError where another process has it, or it is no folder of this user's."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise PermissionError(f"{folder} is somebody else's")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def sync(folder: Path) -> None:
    """Names that were made or changed in the folder are on the disk when this returns. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
