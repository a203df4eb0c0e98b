"""Routes of SCIM 2.0 (RFC 7643, RFC 7644), which identity providers call to manage a client's users and groups.

They never read cookies. Responses and errors have the format of RFC 7644, not the envelope.
"""

from __future__ import annotations

import asyncio
import importlib
from types import ModuleType
from typing import Any

import msgspec
import orjson
from msgspec import UNSET, UnsetType

from manifest_auth.accounts.provisioning import connections
from manifest_auth.audit import Event
from manifest_auth.clients.scim.errors import error_of
from manifest_auth.context import ScimCaller
from manifest_auth.errors import (
    Conflict,
    Forbidden,
    InvalidToken,
    LicenseExpired,
    LicenseRequired,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    Refusal,
    TokenExpired,
    Unauthenticated,
    UnsupportedMediaType,
    ValidationError,
)
from manifest_auth.http import NO_STORE, Access, Answer, Call, Head, Header, Route, identification, refusal_headers
from manifest_auth.http.routes import query_values
from manifest_auth.services import RequestContext
from manifest_auth.text import strict_json

PATH = "/scim/v2/"
_MEDIA_TYPE = "application/scim+json"
_TYPE: Header = (b"content-type", _MEDIA_TYPE.encode())
_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
_EXTRA = f"SCIM requires an extra: {connections.EXTRA}"
#: Statuses that identity providers expect in normal operation, so that they don't count as failures.
_USUAL = (404, 409, 412)
_HEADERS = (b"if-match", b"if-none-match")
_READ_ONLY = {"id", "meta", "groups"}


class ScimFailure(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """``scimType``: what is wrong, if the status doesn't say enough."""

    schemas: tuple[str, ...]
    status: str
    detail: str
    scim_type: str | UnsetType = UNSET


async def refused(ctx: RequestContext, refusal: Refusal, _head: Head) -> Answer[None]:
    """Returns an error in the format of RFC 7644, section 3.12."""
    return _error(*error_of(refusal), headers=refusal_headers(refusal))


def _error(status: int, scim_type: str | None, detail: str, headers: tuple[Header, ...] = ()) -> Answer[None]:
    body = ScimFailure((_ERROR,), str(status), detail, UNSET if scim_type is None else scim_type)
    return Answer(status, msgspec.json.encode(body), (_TYPE, NO_STORE, *headers))


def _answer(done: Any) -> Answer[None]:
    """Returns a response of ``scim2-server``."""
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in done.headers.items()]
    body = b"" if done.body is None else orjson.dumps(done.body)
    answer: Answer[None] = Answer(int(done.status), body, (*headers, NO_STORE))
    if done.body is None:
        answer.headers = [header for header in answer.headers if header[0] != b"content-type"]
        answer.size = None  # RFC 9110, section 8.6: no Content-Length with 204
    return answer


async def _protocol() -> ModuleType | None:
    """Returns the module that knows the messages, loaded with the first request. None without the extra."""
    try:
        return await asyncio.to_thread(importlib.import_module, "manifest_auth.clients.scim.protocol")
    except ModuleNotFoundError:
        return None


async def _config(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    protocol = await _protocol()
    if protocol is None:
        return _error(501, None, _EXTRA)
    location = f"{_base(ctx, call)}/ServiceProviderConfig"
    try:
        with protocol.PROVIDER:
            return _answer(protocol.SERVICE.service_provider_config(location, query_values(call.query)))
    except protocol.SCIMException as error:
        return _answer(protocol.SERVICE.error_response(error))


def _base(ctx: RequestContext, call: Call[Any]) -> str:
    return connections.base_url(ctx.services.settings.public_url.rstrip("/"), call.path["client"])


async def _handle(ctx: RequestContext, call: Call[Any], method: str) -> Answer[None]:
    caller = await identification.scim(ctx, call.head)
    ctx.services.metrics.scim_request_at.set(ctx.now / 1000)
    try:
        return await _run(ctx, call, method, caller)
    except Refusal as refusal:
        await _failed(ctx, caller, error_of(refusal).status, refusal.logged or str(refusal.message))
        raise


async def _run(ctx: RequestContext, call: Call[Any], method: str, caller: ScimCaller) -> Answer[None]:
    if caller.client != call.path["client"]:
        raise InvalidToken(reason="SCIM token: of another client")
    ctx.services.scim_bursts.take(caller.tenant_id, caller.connection_id)
    protocol = await _protocol()
    if protocol is None:
        return _error(501, None, _EXTRA)
    given: Any = None
    if method in ("POST", "PUT", "PATCH"):
        _check_media_type(call.head)
        try:
            if sent := b"".join([part async for part in call.body]):
                given = _mended(_writable(strict_json.read(sent, "The body")))
        except strict_json.Malformed as error:
            return _error(400, "invalidSyntax", str(error))
    request = protocol.ScimRequest(
        method=method,
        base_url=_base(ctx, call),
        path="/" + "/".join(call.path[name] for name in ("type", "id") if name in call.path),
        query=query_values(call.query),
        headers={name.decode(): call.head.line(name) for name in _HEADERS},
        body=b"" if given is None else orjson.dumps(given),
    )
    try:
        number = protocol.cost_of(request.path, request.query, given)
        ctx.services.scim_bursts.take(caller.tenant_id, caller.connection_id, number=number - 1)
        return _answer(await protocol.handle(ctx, caller, request))
    except protocol.SCIMException as error:
        await _failed(ctx, caller, error.status, str(protocol.SERVICE.error_of(error).detail))
        return _answer(protocol.SERVICE.error_response(error))


async def _failed(ctx: RequestContext, caller: ScimCaller, status: int, why: str) -> None:
    """Counts a failed request, and records one that the rules of this server rejected."""
    if status in _USUAL:
        return
    ctx.services.metrics.scim_failures.inc()
    of_client, now = ctx.services.store.of(caller.tenant_id), ctx.now
    await of_client.write_quickly(lambda unit: connections.failed(unit, caller.connection_id, f"{status}: {why}", now))
    if status == Forbidden.status:
        await ctx.services.refusals.put(ctx, caller.tenant_id, caller.actor, Event.SCIM_REFUSED, why, PATH)


def _check_media_type(head: Head) -> None:
    """Accepts only uncompressed JSON. Raises UnsupportedMediaType."""
    kind = (head.content_type or _MEDIA_TYPE).partition(";")[0].strip().lower()
    if kind not in (_MEDIA_TYPE, "application/json"):
        raise UnsupportedMediaType(f"Content-Type must be {_MEDIA_TYPE}")
    if head.content_encoding not in (None, "", "identity"):
        raise UnsupportedMediaType("Content-Encoding isn't supported")


def _writable(resource: Any) -> Any:
    """Returns a resource without the read-only attributes that clients send back (RFC 7643, section 2.2)."""
    if not isinstance(resource, dict):
        return resource
    return {name: one for name, one in resource.items() if name.lower() not in _READ_ONLY}


def _mended(value: Any) -> Any:
    """Returns a body without passwords, which some providers always send, and as RFC 7643 has it. Entra ID sends a
    manager's ID as a text, and entries of lists with null, which says the same as nothing."""
    if isinstance(value, list):
        return [_mended(_without_nulls(one)) for one in value]
    if not isinstance(value, dict):
        return value
    path = str(value.get("path", "")).lower()
    if path.rpartition(":")[2] == "password":
        return {name: one for name, one in value.items() if name.lower() != "value"} | {"value": ""}
    found = {}
    for name, one in value.items():
        last = name.lower().rpartition(":")[2]
        if last == "password":
            continue
        is_manager = last == "manager" or (last == "value" and path.endswith("user:manager"))
        if last == "data":
            one = _writable(one)
        found[name] = {"value": one} if is_manager and isinstance(one, str) else _mended(one)
    return found


def _without_nulls(entry: Any) -> Any:
    if not isinstance(entry, dict) or "op" in map(str.lower, entry):
        return entry
    return {name: value for name, value in entry.items() if value is not None}


#: Statuses of responses without an error, by method, and whether a resource is named.
_STATUSES = {
    ("GET", False): (200,),
    ("GET", True): (200, 304),
    ("POST", False): (201, 200),
    ("POST", True): (200,),
    ("PUT", True): (200,),
    ("PATCH", True): (200, 204),
    ("DELETE", True): (204,),
    **{(method, False): (200,) for method in ("PUT", "PATCH", "DELETE")},
}
_REFUSALS = (
    Unauthenticated,
    InvalidToken,
    TokenExpired,
    Forbidden,
    ValidationError,
    NotFound,
    MethodNotAllowed,
    Conflict,
    PayloadTooLarge,
    UnsupportedMediaType,
    RateLimited,
    LicenseRequired,
    LicenseExpired,
)


def _route(method: str, path: str, summary: str, operation: str) -> Route:
    async def handler(ctx: RequestContext, call: Call[Any]) -> Answer[None]:
        return await _handle(ctx, call, method)

    status, *also = _STATUSES[method, "{id}" in path]
    has_body = method in ("POST", "PUT", "PATCH")
    return Route(
        method,
        f"{PATH}{{client}}{path}",
        handler,
        Access.OPEN,
        summary,
        refused=refused,
        refusals=_REFUSALS,
        streams=has_body,
        takes=(_MEDIA_TYPE,) if has_body else (),
        sends=(_MEDIA_TYPE,) if status != 204 else (),
        operation=operation,
        failure=ScimFailure,
        status=status,
        also=tuple(also),
    )


_ONE = "/{type}/{id}"
ROUTES = (
    Route(
        "GET",
        f"{PATH}{{client}}/ServiceProviderConfig",
        _config,
        Access.OPEN,
        "What the SCIM service supports",
        refused=refused,
        sends=(_MEDIA_TYPE,),
        operation="getScimConfig",
        failure=ScimFailure,
    ),
    _route("GET", "", "Search at the root, which isn't supported", "searchScimRoot"),
    _route("GET", "/{type}", "Search SCIM users or groups, or list schemas or resource types", "listScimResources"),
    _route("POST", "/{type}", "Create a SCIM user or group, or run a bulk request", "createScimResource"),
    _route("PUT", "/{type}", "Replace yourself, which isn't supported", "replaceScimMe"),
    _route("PATCH", "/{type}", "Change yourself, which isn't supported", "changeScimMe"),
    _route("DELETE", "/{type}", "Delete yourself, which isn't supported", "deleteScimMe"),
    _route("GET", _ONE, "Get a SCIM user, group, schema, or resource type", "getScimResource"),
    _route("POST", _ONE, "Search SCIM users or groups with a body", "searchScimResources"),
    _route("PUT", _ONE, "Replace a SCIM user or group", "replaceScimResource"),
    _route("PATCH", _ONE, "Change a SCIM user or group", "changeScimResource"),
    _route("DELETE", _ONE, "Deactivate a SCIM user, or delete a group", "deleteScimResource"),
)
