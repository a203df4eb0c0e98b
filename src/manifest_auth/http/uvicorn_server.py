"""Runs the application under uvicorn."""

from __future__ import annotations

import logging
import signal
import sys
from functools import partial

import uvicorn

from manifest_auth.http.connection_places import Places
from manifest_auth.http.inherited_socket import inherited_fd
from manifest_auth.http.uvicorn_protocol import Protocol
from manifest_auth.runtime import logs
from manifest_auth.runtime.metrics import all_processes, listen, share
from manifest_auth.runtime.settings import Settings, check_listener, proxy_networks


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; running requests get ``shutdown_grace`` seconds to end. Raises SettingsError for
    a listener that other machines must not reach."""
    check_listener(settings)
    logging.basicConfig(handlers=[logs.ForwardToLog(logs.build(settings.log_level))], level=logging.WARNING, force=True)
    # uvicorn raises the signal again after an orderly stop: the exit status is success.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    if settings.workers == 1:
        _run(settings)
        return
    with share():
        if settings.metrics_listen:
            # One for all processes; app.py does it for a single process.
            listen(settings.metrics_listen, all_processes())
        _run(settings)


def _run(settings: Settings) -> None:
    uvicorn.run(
        "manifest_auth.app:create",
        factory=True,
        host=settings.host,
        port=settings.port,
        fd=inherited_fd(),
        workers=settings.workers,
        http=partial(Protocol, places=Places(proxy_networks(settings))),  # type: ignore[arg-type]  # as good as a class
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
