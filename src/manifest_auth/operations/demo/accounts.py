"""Clients and accounts of the demo: a user for each role in one client, an Admin in another, and a system admin."""

from __future__ import annotations

from manifest_auth import accounts
from manifest_auth.accounts import Draft
from manifest_auth.accounts.admins import management
from manifest_auth.audit import Origin
from manifest_auth.operations import client_lifecycle
from manifest_auth.permissions import Role
from manifest_auth.services import Services
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import TenantSettings
from manifest_auth.tenants.claims import domains

ADMIN = "admin"
CLIENTS = {"acme": "Acme Corporation", "globex": "Globex Corporation"}
_NAMES = {
    Role.ADMIN: ("Ada", "Admin"),
    Role.USER_ADMIN: ("Uma", "Users"),
    Role.AUTHOR: ("Arthur", "Author"),
    Role.OPERATOR: ("Olga", "Operator"),
    Role.APPROVER: ("April", "Approver"),
    Role.PUBLISHER: ("Paul", "Publisher"),
    Role.VIEWER: ("Vera", "Viewer"),
}


def users() -> list[tuple[str, str, Role]]:
    """(client, e-mail, role) of every demo user with a password."""
    slug = {role: role.value.lower().replace(" ", "-") for role in _NAMES}
    return [("acme", f"{slug[role]}@acme.example", role) for role in _NAMES] + [
        ("globex", "admin@globex.example", Role.ADMIN)
    ]


def write(unit: SystemUnit, services: Services, hashes: dict[str, str]) -> None:
    """Creates everything. ``hashes``: of the passwords, by account name."""
    origin = Origin(services.clock.now_ms(), "system", "", "demo")
    for identifier, name in CLIENTS.items():
        bound = unit.of(client_lifecycle.create(unit, origin, identifier, name, TenantSettings()).id)
        for client, email, role in users():
            if client == identifier:
                first, last = _NAMES[role]
                draft = Draft(email, role.bit, {"first_name": first, "last_name": last, "title": role.value})
                accounts.add(bound, origin, services.account_tools, draft, hashes[email])
        # Otherwise no e-mail address could link an account when a provider is tried out: these domains are not in DNS.
        domains.vouch(bound, origin, f"{identifier}.example", "a made-up name of the demo", services.random)
    management.create(unit, origin, ADMIN, hashes[ADMIN])
