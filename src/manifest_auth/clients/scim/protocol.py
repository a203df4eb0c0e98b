"""The SCIM service: what it announces, and how a request runs (``scim2-server``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from scim2_models import (
    Error,
    InvalidFilterException,
    InvalidPathException,
    NotImplementedException,
    PatchOp,
    PayloadTooLargeException,
    Resource,
    ResourceType,
    SCIMException,
    SearchRequest,
)
from scim2_server.bulk import BulkPlan, BulkStep
from scim2_server.conditions import Conditions
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.service import ScimService

from manifest_auth.accounts.provisioning import connections
from manifest_auth.clients.scim import errors
from manifest_auth.clients.scim.schemas import MOST_IN_BULK, PROVIDER
from manifest_auth.clients.scim.storage import Storage
from manifest_auth.context import ScimCaller
from manifest_auth.errors import Refusal
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.text import strict_json

MOST_OPERATIONS = 1_000  # of PATCH, in one request
MOST_FILTER, MOST_PATH = 4_096, 1_024  # characters
MOST_TERMS = 20  # comparisons of a filter, each of which takes about 60 ms for 10,000 resources
_MOST_START = 2**31 - 1
#: Operations of PATCH that count as a request.
_PER_REQUEST = 10
#: Texts that the library parses, by the names of their members in lower case.
_PARSED: Mapping[str, tuple[int, type[SCIMException]]] = {
    "filter": (MOST_FILTER, InvalidFilterException),
    "path": (MOST_PATH, InvalidPathException),
    "attributes": (MOST_FILTER, InvalidPathException),
    "excludedattributes": (MOST_FILTER, InvalidPathException),
}
_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_JOINED = re.compile(r"\b(?:and|or)\b", re.IGNORECASE)
_EXPECTED = {
    "bool": "true or false",
    "datetime": "a date and time",
    "dict": "an object",
    "int": "a whole number",
    "list": "an array",
    "model": "an object",
    "string": "a text",
}
_ONE_MEMBER = re.compile(r'(?:urn:[^\[]*:)?members\[value eq "([^"\\]*)"\]')
#: What the published schema requires, so that clients send it. The service also does without it.
_ASKED_FOR = {"userName", "emails", "active"}


class Service(ScimService):
    """The protocol, with the errors of this server."""

    def searched_types(self, endpoint: str | None) -> list[ResourceType]:
        if endpoint is None:
            raise NotImplementedException(detail="Searches at the root are not supported")
        return super().searched_types(endpoint)

    def read_search(self, resource_types: list[ResourceType], payload: Any) -> tuple[SearchRequest[Any], Any]:
        found, position = super().read_search(resource_types, payload)
        found.start_index = min(found.start_index or 1, _MOST_START)
        return found, position

    @staticmethod
    def error_of(exception: Exception) -> Error:
        if isinstance(exception, Refusal):
            return Error(**errors.error_of(exception)._asdict())
        if isinstance(exception, SCIMException) and isinstance(exception.__cause__, ValidationError):
            return _of_invalid(exception.to_error(), exception.__cause__)
        if isinstance(exception, SCIMException):
            return exception.to_error()
        raise exception  # a bug, or a conflict in the database after which the whole work is repeated

    def schemas(self, location: str, query: Any) -> ScimResponse:
        return _with_demands(super().schemas(location, query))

    def schema(self, location: str, schema_id: str, query: Any) -> ScimResponse:
        return _with_demands(super().schema(location, schema_id, query))


def _of_invalid(error: Error, cause: ValidationError) -> Error:
    """Returns the error of a value of the wrong type, which names the attribute and what is expected."""
    first = cause.errors()[0]
    kind = first["type"].partition("_")[0]
    if kind != "scim":
        name = ".".join(str(part) for part in first["loc"] if not {"[", "("} & set(str(part)))
        wrong = f"Must be {_EXPECTED[kind]}" if kind in _EXPECTED else first["msg"].removeprefix("Value error, ")
        error.detail = f"{re.sub('_([a-z])', lambda found: found[1].upper(), name) or 'The body'}: {wrong}"
    return error


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


def cost_of(path: str, query: Mapping[str, str], body: Any) -> int:
    """Returns how many requests a request counts as. Raises SCIMException if it has too many operations, or a text that
    can't be parsed quickly or stored."""
    _check_texts(query)
    _check_texts(body)
    listed = _members(body, "operations")
    parts = [listed]
    if path == "/Bulk":
        parts = [[each for data in _members(one, "data") for each in _members(data, "operations")] for one in listed]
    if len(parts) > MOST_IN_BULK:
        raise PayloadTooLargeException(detail=f"A bulk request can have at most {MOST_IN_BULK} operations")
    if sum(max(1, len(part)) for part in parts) > MOST_OPERATIONS:
        raise PayloadTooLargeException(detail=f"A request can have at most {MOST_OPERATIONS} operations")
    return max(1, sum(max(1, -(-len(part) // _PER_REQUEST)) for part in parts))


def _members(value: Any, name: str) -> list[Any]:
    """The entries of a member of an object, in any spelling of its name."""
    found = [one for key, one in value.items() if key.lower() == name] if isinstance(value, dict) else []
    return [each for one in found for each in (one if isinstance(one, list) else [one])]


def _check_texts(value: Any) -> None:
    for one in value if isinstance(value, list) else ():
        _check_texts(one)
    for name, one in value.items() if isinstance(value, dict) else ():
        _check_text(name, MOST_PATH, InvalidPathException)
        if limits := _PARSED.get(name.lower().replace("_", "")):
            _check_text(",".join(map(str, one)) if isinstance(one, list) else str(one), *limits)
        _check_texts(one)


def _check_text(text: str, most: int, refusal: type[SCIMException]) -> None:
    if len(text) > most:
        raise refusal(detail=f"Must have at most {most} characters")
    try:
        for literal in _LITERAL.findall(text):
            strict_json.read(literal.encode())
    except strict_json.Malformed as error:
        raise refusal(detail=str(error)) from None
    may_join = refusal is InvalidFilterException or "[" in text
    if may_join and len(_JOINED.findall(_LITERAL.sub("", text))) >= MOST_TERMS:
        raise refusal(detail=f"Must have at most {MOST_TERMS} comparisons")


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
