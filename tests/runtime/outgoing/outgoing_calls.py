"""Outgoing calls for a client, each with a sign-in's whole time budget."""

from __future__ import annotations

from typing import Any

from manifest_auth.runtime.outgoing import Outgoing
from manifest_auth.runtime.outgoing_guard import Reply

TENANT = 1


async def get(outgoing: Outgoing, url: str, tenant_id: int = TENANT, **given: Any) -> Reply:
    return await outgoing.get(url, **{"deadline": outgoing.deadline(tenant_id), **given})


async def post_form(outgoing: Outgoing, url: str, fields: dict[str, str], **given: Any) -> Reply:
    return await outgoing.post_form(url, fields, **{"deadline": outgoing.deadline(TENANT), **given})
