"""Saving of a connection's settings, with the roles that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from manifest_auth.accounts.provisioning import connections
from manifest_auth.accounts.provisioning.connections import Connection
from manifest_auth.clients.scim import users
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit, TenantUnit

STEP: Final = 100  # users per transaction


async def change(
    ctx: RequestContext, client: Callable[[SystemUnit], TenantUnit], name: str, given: Mapping[str, Any]
) -> Connection:
    """Changes a connection, and then adds and removes the roles of its users, in steps. ``client`` returns the client's
    unit. Raises the errors of :func:`.connections.change`, and NoSeat or Conflict for the roles."""
    store = ctx.services.store
    after = await store.write(lambda unit: connections.change(client(unit), ctx, name, given))

    def step(unit: SystemUnit) -> list[int]:
        bound = client(unit)
        ids = connections.user_ids(bound, after.id, last, STEP)
        users.regrant(bound, ctx, connections.get_by_id(bound, after.id, shared=True), ids)
        return ids

    last = 0
    while {"group_roles", "default_roles", "may_manage_admins"} & given.keys() and (ids := await store.write(step)):
        last = ids[-1]
    return after
