"""Parts that all pages of one client of the installation show: which client it is, and its tabs."""

from __future__ import annotations

import msgspec

from manifest_auth.pages.console.frame import address
from manifest_auth.pages.installation import clients
from manifest_auth.pages.installation.clients import Row
from manifest_auth.tenants import Tenant

PATH = f"{clients.PATH}/{{client}}"
RULES = f"{PATH}/rules"
TABS = {"": "Overview", "users": "Users", "providers": "Providers"}


class ClientFrame(msgspec.Struct, frozen=True):
    """``tab``: the address of the part that is shown; ``tabs``: addresses and texts of all."""

    path: str
    client: Row
    tab: str
    tabs: tuple[tuple[str, str], ...]


def of(tenant: Tenant, tab: str) -> ClientFrame:
    """``tab``: the address of what is shown."""
    path = PATH.format(client=tenant.identifier)
    tabs = [(address(path, show=one), text) for one, text in TABS.items()]
    tabs.append((RULES.format(client=tenant.identifier), "Rules"))
    return ClientFrame(path, clients.row_of(tenant), tab, tuple(tabs))
