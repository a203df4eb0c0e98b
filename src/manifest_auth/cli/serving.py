"""Functions of the commands ``serve`` and ``demo``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import os
import shlex
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import manifest_auth.app  # noqa: F401 - uvicorn asks for it by name, after what is loaded was frozen
from manifest_auth.cli.arguments import given_path
from manifest_auth.cli.command import CommandRefused, Progress
from manifest_auth.cli.commands import at_start
from manifest_auth.http import uvicorn_server
from manifest_auth.maintenance.startup import build_services, opened
from manifest_auth.runtime import running, settings
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.os_process import own_folder
from manifest_auth.runtime.settings import CONFIG, Settings, SettingsError, check_listener, variable

#: The number of attempts, and the pause in seconds between them, if a port is in use: five seconds in total.
PORT_TRIES = 50
PORT_PAUSE_S = 0.1
_PROGRAM = "manifest-auth"


def add_serve(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``serve``."""
    command.add_argument("--host", help="address to listen on (MANIFEST_HOST)")
    command.add_argument("--port", type=int, help="port to listen on (MANIFEST_PORT)")
    command.add_argument("--workers", type=int, help="number of web processes (MANIFEST_WORKERS)")
    command.add_argument("--demo", action="store_true", help="first fill an empty database with demo clients and users")
    command.set_defaults(run=serve)


def add_demo(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``demo``."""
    add_serve(command)
    command.add_argument(
        "--data-dir",
        type=given_path,
        metavar="FOLDER",
        help="folder that keeps the demo data (MANIFEST_DATA_DIR); default: a temporary folder",
    )
    command.set_defaults(run=_serve_demo, demo=True)


def _serve_demo(given: argparse.Namespace) -> None:
    """Serves the demo. Deletes the data at the end, unless the caller named a folder for it."""
    places = (variable("data_dir"), variable("database_url"), f"{variable('database_url')}_FILE", CONFIG)
    with contextlib.ExitStack() as stack:
        if given.data_dir is None and not any(os.environ.get(name) for name in places):
            given.data_dir = stack.enter_context(own_folder("manifest-auth-demo-"))
            says = f"The demo data is in {given.data_dir} until the demo stops. To keep data, use --data-dir FOLDER."
            print(says, file=sys.stderr, flush=True)
        serve(given)


def serve(given: argparse.Namespace) -> None:
    """Runs the server until a signal stops it."""
    handed_over = uvicorn_server.inherited_address()
    given_here = {"host": handed_over[0], "port": str(handed_over[1])} if handed_over is not None else {}
    given_here |= {
        name: str(value)
        for name in ("host", "port", "workers", "data_dir")
        if (value := getattr(given, name, None)) is not None
    }
    is_demo = given.demo and CONFIG not in os.environ
    if variable("public_url") not in os.environ and (is_demo or given.port is not None):
        host, port = "localhost" if is_demo else "127.0.0.1", given.port or os.environ.get(variable("port"), "8080")
        given_here["public_url"] = f"http://{host}:{port}"  # the demo's passkeys need a domain name
    # Web processes read their settings from the environment.
    os.environ |= {variable(name): value for name, value in given_here.items()}
    loaded = settings.load()
    if given.demo:
        from manifest_auth.maintenance import demo

        demo.check_allowed(loaded)
    check_listener(loaded)
    if handed_over is None:
        _check_address(("host", "port"), loaded.host, loaded.port)
    if loaded.metrics_listen:
        host, _, port = loaded.metrics_listen.rpartition(":")
        _check_address(("metrics_listen", "metrics_listen"), host or "127.0.0.1", int(port))
    asyncio.run(_demo(loaded) if given.demo else _check_start(loaded))
    with running.noted(loaded, given_here):
        uvicorn_server.run(loaded)


def _check_address(fields: tuple[str, str], host: str, port: int) -> None:
    """Raises SettingsError for an address that doesn't belong to this machine, and CommandRefused for a port that stays
    in use. ``fields`` are the settings for the host and the port.

    A web process that was starting when its parent was killed uses the port until it has loaded.
    """
    for tries_left in reversed(range(PORT_TRIES)):
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
            return
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise SettingsError(f"{variable(fields[0])}: can't listen on {host}:{port}: {error.strerror}") from None
            if not tries_left:
                raise CommandRefused(f"{variable(fields[1])}: port {port} on {host} is already in use") from None
            time.sleep(PORT_PAUSE_S)


async def _check_start(loaded: Settings) -> None:
    """Opens the services once before the web processes start. So an error stops the start with one line, the schema is
    upgraded once, and a setup code is printed once. Otherwise, each web process would fail and be restarted repeatedly.
    """
    async with contextlib.AsyncExitStack() as stack:
        with Progress() as progress:
            services = await stack.enter_async_context(opened(build_services(loaded), hashing=False, progress=progress))
        # A container without settings rarely has a terminal.
        if message := await at_start(services, shows_code=sys.stderr.isatty() or loaded.is_local_container):
            print(message, file=sys.stderr, flush=True)


async def _demo(loaded: Settings) -> None:
    from manifest_auth.maintenance import demo

    try:
        clock = None if await demo.is_filled(build_services(loaded)) else demo.PastClock(Clock())
        services, made = build_services(loaded, clock), None
        async with opened(services, hashing=clock is not None):
            if clock is not None:
                with Progress() as progress:
                    made = await demo.fill(services, progress)
    except demo.NotEmpty as error:
        raise CommandRefused(str(error)) from error
    base = _base(loaded)
    print(demo.welcome(base, made) if made else demo.welcome_again(base, _this_command(loaded)), flush=True)


def _this_command(loaded: Settings) -> str:
    """The command line to run in another terminal, with this server's data and address."""
    program = sys.argv[0] if Path(sys.argv[0]).name == _PROGRAM else _PROGRAM
    usual, fields = Settings(), ("public_url", "data_dir")
    values = {variable(name): getattr(loaded, name) for name in fields if getattr(loaded, name) != getattr(usual, name)}
    return " ".join((*(f"{name}={shlex.quote(value)}" for name, value in values.items()), program))


def _base(loaded: Settings) -> str:
    url = urlsplit(loaded.public_url)
    return f"{url.scheme}://{url.netloc}"
