"""GraphQL over HTTP (the specification of that name), on graphql-core.

A document is parsed, limited and validated once and remembered by its text. Mutations never run by GET. Errors are
masked unless they are refusals or faults of the document; all carry ``extensions.code`` and the request id.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable
from types import CoroutineType
from typing import Any, NamedTuple, TypeGuard

import orjson
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    NoSchemaIntrospectionCustomRule,
    OperationType,
    execute,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)

from manifest_auth.context import Context
from manifest_auth.errors import MethodNotAllowed, Refusal, ValidationError
from manifest_auth.graphql import limits
from manifest_auth.graphql.schema import SCHEMA
from manifest_auth.web import BODY_LIMIT, NO_STORE, Answer, Call, Door, Head, Header, Route, refusal_headers
from manifest_auth.web.body import check_media_type
from manifest_auth.web.body import parse as parse_body
from manifest_auth.web.routes import query_values

DEADLINE_S = 5.0
MAX_CACHED = 1000
MAX_CACHED_LENGTH = 8192
_CODES = {"VALIDATION_ERROR": "BAD_USER_INPUT"}
_JSON: Header = (b"content-type", b"application/json; charset=utf-8")
_GRAPHQL: Header = (b"content-type", b"application/graphql-response+json; charset=utf-8")
_GRAPHQL_TYPE = "application/graphql-response+json"


class _Prepared(NamedTuple):
    document: DocumentNode | None
    errors: list[GraphQLError]


class _Request(NamedTuple):
    query: str
    operation: str | None
    variables: dict[str, Any] | None


_cache: dict[tuple[str, bool], _Prepared] = {}


def media_type(head: Head) -> Header:
    """``application/graphql-response+json`` for those who ask for it, ``application/json`` for all others."""
    accept = head.accept
    if accept is not None and _GRAPHQL_TYPE in accept:
        for item in accept.split(","):
            kind, _, parameters = item.strip().partition(";")
            if kind.strip().lower() == _GRAPHQL_TYPE and parameters.replace(" ", "").lower().rstrip(".0") != "q=0":
                return _GRAPHQL
    return _JSON


def prepare(query: str, *, introspects: bool) -> _Prepared:
    """Parsed, limited and validated; from memory when the very text was seen before."""
    key = (query, introspects)
    found = _cache.get(key)
    if found is None:
        found = _prepare(query, introspects)
        if len(query) <= MAX_CACHED_LENGTH:
            while len(_cache) >= MAX_CACHED:
                del _cache[next(iter(_cache))]
            _cache[key] = found
    return found


def _prepare(query: str, introspects: bool) -> _Prepared:
    try:
        document = parse(query, max_lexical_tokens=limits.MAX_TOKENS, allow_empty_selection_sets=False)
    except GraphQLError as error:
        return _Prepared(None, [error])
    except RecursionError:
        return _Prepared(None, [GraphQLError("Nested too deeply")])
    if (broken := limits.check(document)) is not None:
        return _Prepared(None, [broken])
    rules = specified_rules if introspects else [*specified_rules, NoSchemaIntrospectionCustomRule]
    errors = validate(
        SCHEMA, document, rules, max_errors=5, hide_suggestions=not introspects, allow_empty_selection_sets=False
    )
    return _Prepared(None if errors else document, errors)


async def _post(ctx: Context, call: Call[bytes]) -> Answer:
    check_media_type(call.head)
    return await _run(ctx, call.head, _from_members(parse_body(call.body)), by_get=False)


async def _get(ctx: Context, call: Call[bytes]) -> Answer:
    values: dict[str, Any] = dict(query_values(call.query))
    for name in ("variables", "extensions"):
        if values.get(name):
            values[name] = parse_body(values[name].encode())
        else:
            values.pop(name, None)
    if not values.get("operationName"):
        values.pop("operationName", None)
    return await _run(ctx, call.head, _from_members(values), by_get=True)


def _from_members(members: Any) -> _Request:
    """Raises ValidationError: batches, a query that is no text, variables or extensions that are no object."""
    if not isinstance(members, dict):
        raise ValidationError("The body must be one JSON object; batches are not supported")
    query, operation = members.get("query"), members.get("operationName")
    variables, extensions = members.get("variables"), members.get("extensions")
    if not isinstance(query, str) or not query:
        raise ValidationError(details=[("query", "Must be a text")])
    if operation is not None and not isinstance(operation, str):
        raise ValidationError(details=[("operationName", "Must be a text")])
    for name, value in (("variables", variables), ("extensions", extensions)):
        if value is not None and not isinstance(value, dict):
            raise ValidationError(details=[(name, "Must be an object")])
    return _Request(query, operation, variables)


async def _run(ctx: Context, head: Head, request: _Request, *, by_get: bool) -> Answer:
    kind = media_type(head)
    prepared = prepare(request.query, introspects=ctx.house.settings.introspects)
    if prepared.document is None:
        return _request_error(prepared.errors, kind, ctx)
    operation = get_operation_ast(prepared.document, request.operation)
    if operation is None:
        return _request_error([GraphQLError("Unknown or missing operation name")], kind, ctx)
    if by_get and operation.operation is not OperationType.QUERY:
        raise MethodNotAllowed("POST")
    result: Any = execute(
        SCHEMA,
        prepared.document,
        context_value=ctx,
        variable_values=request.variables,
        operation_name=request.operation,
        is_awaitable=_is_awaitable,  # resolvers are plain or `async def`: the general test costs twice as much
    )
    if inspect.isawaitable(result):
        result = await _in_time(result)
    if not isinstance(result, ExecutionResult):
        return _request_error([result], kind, ctx)
    if result.data is None and result.errors and all(not e.path for e in result.errors):
        return _request_error(result.errors, kind, ctx)  # variables that do not fit, before anything ran
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        body["errors"] = [_wire(error, ctx) for error in result.errors]
    return Answer(200, orjson.dumps(body), (kind, NO_STORE))


def _is_awaitable(value: Any) -> TypeGuard[Awaitable[Any]]:
    return type(value) is CoroutineType


async def _in_time(result: Awaitable[Any]) -> Any:
    try:
        return await asyncio.wait_for(asyncio.ensure_future(result), DEADLINE_S)
    except TimeoutError:
        return ExecutionResult(None, [GraphQLError("The query took too long", extensions={"code": "TIMEOUT"})])


def _request_error(errors: list[GraphQLError], kind: Header, ctx: Context) -> Answer:
    """A document that did not run: 400, but 200 for ``application/json``, whose clients expect that."""
    status = 400 if kind is _GRAPHQL else 200
    body = {"errors": [_wire(error, ctx) for error in errors]}
    return Answer(status, orjson.dumps(body), (kind, NO_STORE))


def _wire(error: GraphQLError, ctx: Context) -> dict[str, Any]:
    original = error.original_error
    if isinstance(original, Refusal):
        return _refusal(original, ctx.request_id) | ({"path": error.path} if error.path else {})
    if original is not None and not isinstance(original, GraphQLError):
        ctx.house.log.error("internal_error", request_id=ctx.request_id, route="graphql", exc_info=original)
        extensions = {"code": "INTERNAL_ERROR", "requestId": ctx.request_id}
        return {"message": "Internal error", "path": error.path, "extensions": extensions}
    found: dict[str, Any] = {"message": error.message}
    if error.locations:
        found["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    if error.path:
        found["path"] = error.path
    found["extensions"] = {"code": "BAD_USER_INPUT", **(error.extensions or {}), "requestId": ctx.request_id}
    return found


def _refusal(refusal: Refusal, request_id: str) -> dict[str, Any]:
    extensions: dict[str, Any] = {"code": _CODES.get(refusal.code, refusal.code), "requestId": request_id}
    if refusal.details:
        extensions["details"] = [{"field": field, "message": message} for field, message in refusal.details]
    return {"message": refusal.message, "extensions": extensions}


def refused(refusal: Refusal, request_id: str, head: Head) -> Answer:
    """A refusal before anything ran, as a GraphQL error body with the refusal's own status."""
    body = {"errors": [_refusal(refusal, request_id)]}
    return Answer(refusal.status, orjson.dumps(body), (media_type(head), NO_STORE, *refusal_headers(refusal)))


PATH = "/api/client/graphql"
ROUTES = (
    Route("POST", PATH, _post, Door.CLIENT, "Run a GraphQL query", limit=BODY_LIMIT, raw=True, refused=refused),
    Route("GET", PATH, _get, Door.CLIENT, "Run a GraphQL query; mutations need POST", raw=True, refused=refused),
)
