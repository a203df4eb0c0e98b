"""The SCIM service: what it announces, and how a request runs (``scim2-server``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import partial
from http import HTTPStatus
from typing import Any

from scim2_models import (
    Error,
    NotImplementedException,
    PatchOp,
    PayloadTooLargeException,
    Resource,
    ResourceType,
    SCIMException,
)
from scim2_server.bulk import BulkPlan, BulkStep
from scim2_server.conditions import Conditions
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.service import ScimService

from manifest_auth.accounts.provisioning import connections
from manifest_auth.clients.scim import errors
from manifest_auth.clients.scim.schemas import PROVIDER
from manifest_auth.clients.scim.storage import Storage
from manifest_auth.context import ScimCaller
from manifest_auth.errors import Refusal
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit

MOST_IN_PATCH = 1_000
_ONE_MEMBER = re.compile(r'(?:urn:[^\[]*:)?members\[value eq "([^"\\]*)"\]')
#: What the published schema requires, so that clients send it. The service also does without it.
_ASKED_FOR = {"userName", "emails", "active"}


class Service(ScimService):
    """The protocol, with the errors of this server."""

    def searched_types(self, endpoint: str | None) -> list[ResourceType]:
        if endpoint is None:
            raise NotImplementedException(detail="Searches at the root are not supported")
        return super().searched_types(endpoint)

    def read_patch(self, resource_type: ResourceType, body: bytes, content_type: str | None) -> PatchOp[Any]:
        found = super().read_patch(resource_type, body, content_type)
        if len(found.operations or ()) > MOST_IN_PATCH:
            raise PayloadTooLargeException(detail=f"A PATCH can have at most {MOST_IN_PATCH} operations")
        return found

    @staticmethod
    def error_of(exception: Exception) -> Error:
        if isinstance(exception, Refusal):
            return Error(**errors.error_of(exception)._asdict())
        if isinstance(exception, SCIMException):
            return exception.to_error()
        raise exception  # a bug, or a conflict in the database after which the whole work is repeated

    def schemas(self, location: str, query: Any) -> ScimResponse:
        return _with_demands(super().schemas(location, query))

    def schema(self, location: str, schema_id: str, query: Any) -> ScimResponse:
        return _with_demands(super().schema(location, schema_id, query))


def _with_demands(answer: ScimResponse) -> ScimResponse:
    """Returns published schemas in which the attributes that clients should send are required, and names of members,
    which Okta sends and this server ignores, are read-only."""
    body: Any = answer.body
    for schema in body.get("Resources", [body]):
        is_user = schema["id"].endswith("core:2.0:User")
        for attribute in schema["attributes"]:
            name = attribute["name"]
            attribute["required"] |= is_user and name in _ASKED_FOR
            for part in attribute.get("subAttributes", ()):
                part["required"] |= is_user and (name, part["name"]) == ("emails", "value")
                if (name, part["name"]) == ("members", "display"):
                    part["mutability"] = "readOnly"
    return answer


class Handler(ScimHandler):
    """Runs requests. A PATCH of a group reads only the members that it names."""

    storage: Storage
    _is_shown = False

    def patch(self, request: ScimRequest) -> ScimResponse:
        self._is_shown = not {"attributes", "excludedAttributes"}.isdisjoint(request.query)
        return super().patch(request)

    def patch_resource(
        self, resource_type: ResourceType, resource_id: str, patch_op: PatchOp[Any], conditions: Conditions
    ) -> Resource[Any]:
        is_partial = resource_type.name == "Group" and not self._is_shown
        self.storage.named = named_members(patch_op) if is_partial else None
        return super().patch_resource(resource_type, resource_id, patch_op, conditions)


def named_members(patch: PatchOp[Any]) -> Collection[str] | None:
    """The IDs of the members that a PATCH adds or removes; None if it can change others too."""
    found: set[str] = set()
    for operation in patch.operations or ():
        path, value = str(operation.path or "").lower(), operation.value
        if not path and isinstance(value, dict):
            listed = [(name.lower(), one) for name, one in value.items()]
        else:
            listed = [(path, value)]
        for name, one in listed:
            if not name.rpartition(":")[2].startswith("members"):
                continue
            if operation.op == "remove" and (selected := _ONE_MEMBER.fullmatch(name)):
                found.add(selected[1])
                continue
            entries = one if isinstance(one, list) else [one]
            is_listed = all(isinstance(entry, dict) and isinstance(entry.get("value"), str) for entry in entries)
            if operation.op == "replace" or not name.endswith("members") or not is_listed:
                return None
            found.update(entry["value"] for entry in entries)
    return found


SERVICE = Service(PROVIDER)


async def handle(ctx: RequestContext, caller: ScimCaller, request: ScimRequest) -> ScimResponse:
    """Runs a request of a connection: a bulk request in a transaction for each operation, any other in one. Raises
    SCIMException and Refusal."""
    store = ctx.services.store.of(caller.tenant_id)
    writes = request.method in ("POST", "PUT", "PATCH", "DELETE") and not request.path.endswith("/.search")

    def handler(unit: TenantUnit) -> Handler:
        connection = connections.get_by_id(unit, caller.connection_id, shared=writes)
        return Handler(SERVICE, Storage(unit, ctx, connection, writes=writes))

    if request.path != "/Bulk":
        run = store.write if writes else store.read
        return await run(lambda unit: handler(unit).handle(request))
    with PROVIDER:
        plan = SERVICE.read_bulk(request.body, request.header("Content-Type"))
        ctx.services.scim_bursts.take(caller.tenant_id, caller.connection_id, number=len(plan.operations) - 1)
        for step in plan:
            try:
                done: Done = await store.write(partial(_run, handler, request, plan, step))
            except _Failed as failed:
                done = failed.result, None
            plan.record(step, *done)
        return SERVICE.bulk_response(plan)


Done = tuple[dict[str, Any], Resource[Any] | None]


class _Failed(Exception):
    """Rolls a failed operation back."""

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__()
        self.result = result


def _run(
    handler: Callable[[TenantUnit], Handler], request: ScimRequest, plan: BulkPlan, step: BulkStep, unit: TenantUnit
) -> Done:
    with PROVIDER:  # in the thread of the store
        result, resource = handler(unit).run_bulk_step(request, plan, step)
    if int(result["status"]) >= HTTPStatus.BAD_REQUEST:
        raise _Failed(result)
    return result, resource
