"""Parts that all commands share: services, refusals, and the command line as the actor in the audit trail."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import AsyncIterator
from types import TracebackType

from manifest_auth import tenants
from manifest_auth.context import SYSTEM, Origin
from manifest_auth.maintenance import signing_keys
from manifest_auth.runtime import settings
from manifest_auth.runtime.os_process import who_runs_this
from manifest_auth.runtime.settings import Settings
from manifest_auth.services import RequestContext, Services
from manifest_auth.sessions.tokens import Purpose
from manifest_auth.startup import build_services, opened
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import Tenant


class CommandRefused(Exception):
    """A command cannot be carried out; the text says why."""


@contextlib.asynccontextmanager
async def started(loaded: Settings | None = None, *, hashing: bool = False) -> AsyncIterator[Services]:
    """The services for a command. Servers may run with other settings than this shell, so a command leaves an older
    schema and the algorithm of tokens as they are, and says where its settings differ.

    Raises SchemaOlder, and what :func:`.startup.opened` raises.
    """
    services = build_services(loaded or settings.load())
    async with opened(services, hashing=hashing, upgrades=False):
        used = services.keys.signing(Purpose.ACCESS).algorithm
        if ignored := signing_keys.ignored_algorithm(services.settings, used):
            print(f"manifest-auth: {ignored}", file=sys.stderr)
        yield services


class CommandLine(RequestContext):
    """A command as the acting party: the audit trail names the operator."""

    def __init__(self, services: Services) -> None:
        super().__init__(services, "command-line", "", "", SYSTEM)

    @property
    def origin(self) -> Origin:
        return origin_at(self.now)


def origin_at(now: int) -> Origin:
    """The origin of a command where no service runs. ``now``: milliseconds."""
    return Origin(now, "system", "", "command-line", who_runs_this())


def client_named(unit: SystemUnit, identifier: str) -> Tenant:
    """Raises Refused where there is no such client."""
    found = tenants.find(unit, identifier)
    if found is None:
        raise CommandRefused(f"there is no client {identifier}")
    return found


_TERMINAL_S, _PLAIN_S = 0.1, 2.0


class Progress:
    """``with Progress() as show: show("copying", 3, 10)``. On a terminal the line is removed at the end."""

    def __init__(self) -> None:
        self._on_terminal = sys.stderr.isatty()
        # Nothing is shown in the first two seconds.
        self._next = time.monotonic() + (0.5 if self._on_terminal else _PLAIN_S)
        self._shown = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown and self._on_terminal:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()

    def __call__(self, what: str, done: int, of: int | None = None) -> None:
        """Shows the numbers of done and, if known, of all items. Frequent calls are cheap."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (_TERMINAL_S if self._on_terminal else _PLAIN_S)
        self._shown = True
        share = f"{done:,} of {of:,} ({100 * done // max(of, 1)} %)" if of is not None else f"{done:,}"
        text = f"{what}: {share}"
        sys.stderr.write(f"\r{text}\033[K" if self._on_terminal else f"{text}\n")
        sys.stderr.flush()
