"""All providers of an installation, for commands that check each of them."""

from __future__ import annotations

from manifest_auth import providers, tenants
from manifest_auth.providers import Provider
from manifest_auth.store import SystemUnit

AT_ONCE = 8  # providers that a command calls at the same time
_PAGE = 200


def all_providers(unit: SystemUnit) -> list[tuple[str, Provider]]:
    """Identifier of the client and provider, by client."""
    found: list[tuple[str, Provider]] = []
    after = 0
    while clients := tenants.list_page(unit, after, _PAGE):
        after = clients[-1].id
        for client in clients:
            found += [(client.identifier, provider) for provider in providers.list_all(unit.of(client.id))]
    return found
