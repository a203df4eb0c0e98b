"""The listening socket that systemd holds for the server, so that connections wait while it is restarted."""

from __future__ import annotations

import os
import socket

from manifest_auth.runtime.settings import SettingsError

_FIRST = 3  # SD_LISTEN_FDS_START


def inherited_fd() -> int | None:
    """The descriptor of the socket, as ``sd_listen_fds(3)`` finds it; None: the server opens its own. Raises
    SettingsError for more than one."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    if os.environ.get("LISTEN_FDS") != "1":
        raise SettingsError("LISTEN_FDS: exactly one socket is expected, see deploy/manifest-auth.socket")
    return _FIRST


def inherited_address() -> tuple[str, int] | None:
    """Host and port of that socket: they hold in place of the settings. Raises SettingsError."""
    fd = inherited_fd()
    if fd is None:
        return None
    with socket.socket(fileno=os.dup(fd)) as listener:
        if listener.family not in (socket.AF_INET, socket.AF_INET6):
            raise SettingsError("LISTEN_FDS: the socket is not of TCP, see deploy/manifest-auth.socket")
        host, port, *_ = listener.getsockname()
        return host, port
