"""State of the server for systemd (``sd_notify(3)``, ``sd_watchdog_enabled(3)``).

Elsewhere nothing of it happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import multiprocessing
import os
import socket

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"


def notify(state: str) -> None:
    """Tells a state of the server, with several web processes by the one above them. Never waits."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or multiprocessing.parent_process() is not None:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.setblocking(False)
        link.sendto(state.encode(), f"\0{address[1:]}" if address.startswith("@") else address)


async def watched() -> None:
    """Shows that the event loop turns, for as long as it does. Where it stands still systemd ends the server; one of
    several web processes ends itself, with the stacks of its threads on standard error, and is replaced."""
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
    """After how long systemd takes this server for hung; 0: never."""
    if os.environ.get("WATCHDOG_PID") not in (str(os.getpid()), str(os.getppid())):
        return 0
    with contextlib.suppress(ValueError):
        return int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
    return 0
