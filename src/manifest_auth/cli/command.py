"""What all commands share: the refusal of a command, and the command line as the actor in the audit trail."""

from __future__ import annotations

from manifest_auth import tenants
from manifest_auth.context import Origin
from manifest_auth.services import Services
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import Tenant


class Refused(Exception):
    """A command cannot be carried out; the text says why."""


def origin_of(services: Services) -> Origin:
    """The command line as the actor in the audit trail."""
    return Origin(services.clock.now_ms(), "system", "", "command-line")


def client_named(unit: SystemUnit, identifier: str) -> Tenant:
    """Raises Refused where there is no such client."""
    found = tenants.find(unit, identifier)
    if found is None:
        raise Refused(f"there is no client {identifier}")
    return found
