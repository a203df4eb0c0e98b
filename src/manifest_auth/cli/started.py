"""The services of a command that acts like the server, and the command line as the actor in the audit trail."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator

from manifest_auth import tenants
from manifest_auth.cli.command import CommandRefused, origin_at
from manifest_auth.context import SYSTEM, Origin
from manifest_auth.maintenance import signing_keys
from manifest_auth.maintenance.startup import build_services, opened
from manifest_auth.runtime import settings
from manifest_auth.runtime.settings import Settings
from manifest_auth.services import RequestContext, Services
from manifest_auth.sessions.tokens import Purpose
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import Tenant


@contextlib.asynccontextmanager
async def started(loaded: Settings | None = None, *, hashing: bool = False) -> AsyncIterator[Services]:
    """Opens the services for a command. Servers might run with settings other than this shell's, so a command doesn't
    change an older schema or the algorithm of tokens, and reports differences in settings.

    Raises SchemaOlder, and the errors of :func:`.startup.opened`.
    """
    services = build_services(loaded or settings.load())
    async with opened(services, hashing=hashing, upgrades=False):
        used = services.keys.signing(Purpose.ACCESS).algorithm
        if ignored := signing_keys.ignored_algorithm(services.settings, used):
            print(f"manifest-auth: {ignored}", file=sys.stderr)
        yield services


class CommandLine(RequestContext):
    """A command as the acting party. The audit trail names the operator."""

    def __init__(self, services: Services) -> None:
        super().__init__(services, "command-line", "", "", SYSTEM)

    @property
    def origin(self) -> Origin:
        return origin_at(self.now)


def client_named(unit: SystemUnit, identifier: str) -> Tenant:
    """Returns the client. Raises CommandRefused if it doesn't exist."""
    found = tenants.find(unit, identifier)
    if found is None:
        raise CommandRefused(f"no client has the identifier {identifier}")
    return found
