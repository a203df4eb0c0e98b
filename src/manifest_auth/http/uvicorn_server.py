"""Runs the application under uvicorn, in one or several web processes."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
from functools import partial

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from manifest_auth.http.uvicorn_protocol import BoundedProtocol, Places
from manifest_auth.runtime import logs, os_process
from manifest_auth.runtime.metrics import all_processes, listen, share
from manifest_auth.runtime.settings import Settings, SettingsError, check_listener, proxy_networks

# The listening socket that systemd holds for the server, so that connections wait while it is restarted.


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


class _Server(uvicorn.Server):
    """A single web process."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        os_process.notify(os_process.READY)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        os_process.notify(os_process.STOPPING)
        await super().shutdown(sockets)


class _Supervisor(Multiprocess):
    """The process above several web processes."""

    _is_ready = False

    def keep_subprocess_alive(self) -> None:
        super().keep_subprocess_alive()
        os_process.notify(os_process.ALIVE)
        if not self._is_ready and all(process.is_ready(timeout=1) for process in self.processes):
            self._is_ready = True
            os_process.notify(os_process.READY)

    def terminate_all(self) -> None:
        os_process.notify(os_process.STOPPING)
        super().terminate_all()


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; running requests get ``shutdown_grace`` seconds to end. Raises SettingsError for
    a listener that other machines must not reach."""
    check_listener(settings)
    logging.basicConfig(handlers=[logs.ForwardToLog(logs.build(settings.log_level))], level=logging.WARNING, force=True)
    # uvicorn raises the signal again after an orderly stop: the exit status is success.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    try:
        if settings.workers == 1:
            _one(_config(settings))
            return
        with share():
            if settings.metrics_listen:
                # One for all processes; app.py does it for a single process.
                listen(settings.metrics_listen, all_processes())
            _several(_config(settings))
    except SystemExit as ended:
        # uvicorn's status for a start that failed is ours for an older schema, which a restart does not mend.
        if ended.code == STARTUP_FAILURE:
            sys.exit(1)
        raise


def _one(config: uvicorn.Config) -> None:
    server = _Server(config)
    _set_hang_up()
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(1)


def _several(config: uvicorn.Config) -> None:
    supervisor = _Supervisor(config, [config.bind_socket()])
    _set_hang_up()
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        sys.exit(1)


def _set_hang_up() -> None:
    """SIGHUP: with the terminal that the server was started from it ends in good order. A service ignores it, and so do
    the processes that it starts: settings are read at a start, and there is nothing else to read again."""
    if sys.stdin is not None and sys.stdin.isatty():
        signal.signal(signal.SIGHUP, lambda _number, _frame: signal.raise_signal(signal.SIGTERM))
    else:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _config(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        "manifest_auth.app:create",
        factory=True,
        host=settings.host,
        port=settings.port,
        fd=inherited_fd(),
        workers=settings.workers,
        http=partial(BoundedProtocol, places=Places(proxy_networks(settings))),  # type: ignore[arg-type]  # as good as a class
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # head.py trusts listed proxies only
        # One of several processes that is silent for longer is replaced: on a busy machine a start takes some seconds.
        timeout_worker_healthcheck=20,
        timeout_graceful_shutdown=settings.shutdown_grace,
        backlog=2048,
    )
