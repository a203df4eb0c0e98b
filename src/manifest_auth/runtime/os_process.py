"""Process of a server as the operating system sees it: its user, processor time slices, signals, state and folders."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import faulthandler
import fcntl
import gc
import math
import multiprocessing
import os
import platform
import pwd
import shutil
import signal
import socket
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

#: A process with a shorter time slice can interrupt this one. Normal slices last several milliseconds.
TURN_NS = 100_000
_SET_ATTRIBUTES = {"x86_64": 314, "aarch64": 274}  # ``sched_setattr``, which C libraries provide only since 2025
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")  # sched_setattr(2): size, policy, flags, nice, priority, three times
_RESET_ON_FORK = 1


def take_short_turns() -> bool:
    """Gives the calling thread, and so an event loop, short time slices; threads and processes that it starts have
    normal ones.

    Its share of the processor stays the same. Since 6.12, Linux lets a waking thread interrupt one with a longer slice;
    older versions accept the value and ignore it. Returns whether the system accepted it.
    """
    number = _SET_ATTRIBUTES.get(platform.machine())
    if sys.platform != "linux" or number is None:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    wanted = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, _RESET_ON_FORK, nice, 0, TURN_NS, 0, 0)
    return bool(ctypes.CDLL(None).syscall(number, 0, wanted, 0) == 0)


def freeze_garbage() -> None:
    """Excludes objects created during startup from garbage collection, because they live as long as the process.
    Scanning them would take 80 ms each time and find nothing."""
    gc.collect()
    gc.freeze()


def usable_cores(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Returns how many cores this process can use: those of its affinity, or fewer if a control group has a quota
    (``cpu.max`` of version 2), as in a container with a limit or a unit with ``CPUQuota=``. Part of a core counts as
    one."""
    cores = float(len(os.sched_getaffinity(0)))
    with contextlib.suppress(OSError):
        folder = groups / own.read_text().partition("0::/")[2].partition("\n")[0]
        for each in (folder, *folder.parents):
            with contextlib.suppress(OSError, ValueError):  # none, or "max"
                quota, period = (each / "cpu.max").read_text().split()
                cores = min(cores, int(quota) / int(period))
    return max(1, math.ceil(cores))


def user_name(uid: int) -> str:
    """Returns the user's name, or the number if there is none, as in a container."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def who_runs_this() -> dict[str, str]:
    """Returns the user of this process, and the one who became that user by sudo, for the audit trail."""
    users = {"os_user": user_name(os.getuid()), "sudo_user": os.environ.get("SUDO_USER", "")}
    # The environment can contain any bytes.
    return {name: user.encode("utf-8", "replace").decode()[:100] for name, user in users.items() if user}


# Reports the server's state to systemd (``sd_notify(3)``, ``sd_watchdog_enabled(3)``). Has no effect elsewhere.


READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"


def notify(state: str) -> None:
    """Reports the server's state. With several web processes, their parent reports it. Never waits."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or multiprocessing.parent_process() is not None:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.setblocking(False)
        link.sendto(state.encode(), f"\0{address[1:]}" if address.startswith("@") else address)


async def watched() -> None:
    """Reports that the event loop is running. If it stops, systemd ends the server. One of several web processes ends
    itself, with the stacks of its threads on standard error, and is replaced."""
    seconds = _watchdog_seconds()
    if not seconds:
        return
    is_one_of_several = multiprocessing.parent_process() is not None
    try:
        while True:
            if is_one_of_several:
                faulthandler.dump_traceback_later(seconds, exit=True, file=2)
            else:
                notify(ALIVE)
            await asyncio.sleep(seconds / 4)
    finally:
        if is_one_of_several:
            faulthandler.cancel_dump_traceback_later()


def _watchdog_seconds() -> float:
    """Returns the time after which systemd considers this server hung; 0 for never."""
    if os.environ.get("WATCHDOG_PID") not in (str(os.getpid()), str(os.getppid())):
        return 0
    with contextlib.suppress(ValueError):
        return int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
    return 0


# A temporary folder is deleted when its process ends; the next process deletes those of killed processes.


@contextlib.contextmanager
def own_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """Creates a folder in ``parent``, or in the system's folder for temporary files, readable only by this user. Raises
    OSError.

    A process locks its folder. The kernel releases the lock when the process is killed; then another process can delete
    the folder.
    """
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    for path in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError), _locked(path):
            shutil.rmtree(path)
    with contextlib.ExitStack() as stack:
        yield _create(stack, prefix, parent)


def _create(stack: contextlib.ExitStack, prefix: str, parent: Path) -> Path:
    """Creates and locks a folder. If another process that looks for dead folders deletes it between the two steps, a
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
    """Locks a folder. Raises OSError if another process has locked it, or if it is not a folder of this user."""
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


def drain_first(seconds: int, drain: Callable[[], None]) -> None:
    """Makes SIGTERM call ``drain`` and wait that many seconds before its previous handler. Call it in the main thread,
    in the event loop, once the web server has its own handler."""
    loop, end = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)

    def told() -> None:
        loop.add_signal_handler(signal.SIGTERM, lambda: None)  # a second signal has no further effect
        drain()
        if callable(end):
            loop.call_later(seconds, end, signal.SIGTERM, None)

    loop.add_signal_handler(signal.SIGTERM, told)
