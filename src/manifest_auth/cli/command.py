"""Parts that all commands share: services, refusals, and the command line as the actor in the audit trail."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from manifest_auth import tenants
from manifest_auth.app import build_services, opened
from manifest_auth.context import Origin
from manifest_auth.operations import signing_keys
from manifest_auth.runtime import settings
from manifest_auth.runtime.os_process import who_runs_this
from manifest_auth.runtime.settings import Settings
from manifest_auth.services import Services
from manifest_auth.sessions.tokens import Purpose
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import Tenant


class Refused(Exception):
    """A command cannot be carried out; the text says why."""


@contextlib.asynccontextmanager
async def started(loaded: Settings | None = None, *, hashing: bool = False) -> AsyncIterator[Services]:
    """The services for a command. Servers may run with other settings than this shell, so a command leaves an older
    schema and the algorithm of tokens as they are, and says where its settings differ.

    Raises SchemaOlder, and what :func:`.app.opened` raises.
    """
    services = build_services(loaded or settings.load())
    async with opened(services, hashing=hashing, upgrades=False):
        used = services.keys.signing(Purpose.ACCESS).algorithm
        if ignored := signing_keys.ignored_algorithm(services.settings, used):
            print(f"manifest-auth: {ignored}", file=sys.stderr)
        yield services


def given_path(text: str) -> Path:
    """The type of every argument that names a file or folder: relative ones start where the operator is. The command
    of a service runs in the service's folder, and passes on from where it was called (``deploy/as-service``)."""
    return Path(os.environ.get("MANIFEST_AUTH_CALLED_FROM", ""), text)


def origin_of(services: Services) -> Origin:
    """The command line as the actor in the audit trail."""
    return origin_at(services.clock.now_ms())


def origin_at(now: int) -> Origin:
    """As :func:`origin_of`, where no service runs. ``now``: milliseconds."""
    return Origin(now, "system", "", "command-line", who_runs_this())


def client_named(unit: SystemUnit, identifier: str) -> Tenant:
    """Raises Refused where there is no such client."""
    found = tenants.find(unit, identifier)
    if found is None:
        raise Refused(f"there is no client {identifier}")
    return found
