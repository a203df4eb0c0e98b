"""Execution of GraphQL requests with graphql-core, and the cache of their documents.

GET never runs mutations. Errors are masked, except errors that the server raises on purpose and errors in the document.
All of them have ``extensions.code`` and the request ID.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Awaitable
from types import CoroutineType
from typing import Any, NamedTuple, TypeGuard

import orjson
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    NoSchemaIntrospectionCustomRule,
    OperationType,
    execute,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)

from manifest_auth.api.graphql import limits, plan
from manifest_auth.api.graphql.plan import Plan
from manifest_auth.api.graphql.plan import build as build_plan
from manifest_auth.api.graphql.schema import SCHEMA
from manifest_auth.api.graphql.wire import GRAPHQL, PATH, in_graphql, media_type
from manifest_auth.errors import MethodNotAllowed, Overloaded, Refusal, ValidationError
from manifest_auth.http import NO_STORE, Answer, Call, Head, Header
from manifest_auth.http.request import check_media_type
from manifest_auth.http.request import parse as parse_body
from manifest_auth.http.routes import query_values
from manifest_auth.services import Mutation, RequestContext
from manifest_auth.store import StoreUnavailable
from manifest_auth.text.models import MOST

MAX_CACHED = 1000
#: A parsed document takes about 250 bytes per character, so the whole cache stays below 32 MiB.
MAX_CACHED_TEXT = 128 * 1024
MAX_CACHED_LENGTH = 8 * 1024
MAX_ERRORS = 5
#: Limits for a mutation in the log.
_LONGEST_NAME, _MOST_FIELDS = 64, 10


class Prepared(NamedTuple):
    """A parsed document. ``document`` is None if parsing failed. It can be executed if there are no ``errors``."""

    document: DocumentNode | None
    errors: list[GraphQLError]
    plan: Plan | None = None  # the fast plan, if there is one

    def operation(self, name: str | None) -> OperationType | None:
        """The type of the named operation, or of the only one; None if there is no such operation."""
        found = get_operation_ast(self.document, name) if self.document else None
        return found.operation if found else None

    def mutation(self, name: str | None) -> Mutation | None:
        """The log's members for the named operation, or for the only one; None if it isn't a mutation."""
        found = get_operation_ast(self.document, name) if self.document else None
        if found is None or found.operation is not OperationType.MUTATION:
            return None
        fields = [one.name.value for one in found.selection_set.selections if isinstance(one, FieldNode)]
        return Mutation(found.name.value[:_LONGEST_NAME] if found.name else "", tuple(fields[:_MOST_FIELDS]))


class Documents:
    """The cache of one process. It contains only valid documents, so that invalid ones can't evict documents that
    clients send frequently."""

    def __init__(self, *, introspects: bool) -> None:
        self._introspects = introspects
        self._known: dict[str, Prepared] = {}
        self._text = 0

    def __len__(self) -> int:
        return len(self._known)

    @property
    def text(self) -> int:
        """The total number of characters of all cached documents."""
        return self._text

    def knows(self, query: str) -> bool:
        """Whether the document is cached."""
        return query in self._known

    def prepare(self, query: str) -> Prepared:
        """Returns the document, parsed and validated within the limits, or its errors. Caches it if there are none."""
        found = self._known.get(query)
        if found is None:
            found = _prepare(query, self._introspects)
            if not found.errors and len(query) <= MAX_CACHED_LENGTH:
                self._remember(query, found)
        return found

    def _remember(self, query: str, found: Prepared) -> None:
        while self._known and (len(self._known) >= MAX_CACHED or self._text + len(query) > MAX_CACHED_TEXT):
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._text -= len(oldest)
        self._known[query] = found
        self._text += len(query)


def _prepare(query: str, introspects: bool) -> Prepared:
    if (broken := limits.check_text(query)) is not None:
        return Prepared(None, [broken])
    try:
        document = parse(
            query,
            max_source_length=limits.MAX_LENGTH,
            max_lexical_tokens=limits.MAX_TOKENS,
            allow_empty_selection_sets=False,
        )
    except GraphQLError as error:
        return Prepared(None, [error])
    except RecursionError:
        return Prepared(None, [GraphQLError("Nested too deeply")])
    if (broken := limits.check_limits(document)) is not None:
        return Prepared(document, [broken])
    rules = specified_rules if introspects else [*specified_rules, NoSchemaIntrospectionCustomRule]
    try:
        errors = validate(
            SCHEMA,
            document,
            rules,
            max_errors=MAX_ERRORS,
            hide_suggestions=not introspects,
            allow_empty_selection_sets=False,
        )
    except RecursionError:
        errors = [GraphQLError("Nested too deeply")]
    return Prepared(document, errors, None if errors else build_plan(SCHEMA, document))


DEADLINE_S = 5.0


_documents = {introspects: Documents(introspects=introspects) for introspects in (True, False)}


async def post(ctx: RequestContext, call: Call[bytes]) -> Answer[None]:
    check_media_type(call.head)
    limits.check_body(call.body)
    return await _run(ctx, call.head, *_from_members(parse_body(call.body)), by_get=False)


async def get(ctx: RequestContext, call: Call[bytes]) -> Answer[None]:
    values: dict[str, Any] = dict(query_values(call.query))
    for name in ("variables", "extensions"):
        if values.get(name):
            values[name] = parse_body(values[name].encode(), f"The parameter {name}")
        else:
            values.pop(name, None)
    if not values.get("operationName"):
        values.pop("operationName", None)
    return await _run(ctx, call.head, *_from_members(values), by_get=True)


def _from_members(members: Any) -> tuple[str, str | None, dict[str, Any] | None]:
    """Returns the query, the name of the operation, and the variables. Raises ValidationError for a batch, a query that
    isn't a string, and variables or extensions that aren't objects."""
    if not isinstance(members, dict):
        raise ValidationError("The body must be one JSON object; batches are not supported")
    query, operation = members.get("query"), members.get("operationName")
    variables, extensions = members.get("variables"), members.get("extensions")
    wrong = []
    if not isinstance(query, str) or not query:
        wrong.append(("query", "Must be text"))
    if operation is not None and not isinstance(operation, str):
        wrong.append(("operationName", "Must be text"))
    for name, value in (("variables", variables), ("extensions", extensions)):
        if value is not None and not isinstance(value, dict):
            wrong.append((name, "Must be an object"))
    if wrong:
        raise ValidationError(details=wrong)
    assert isinstance(query, str)
    return query, operation, variables


async def _run(
    ctx: RequestContext, head: Head, query: str, name: str | None, variables: dict[str, Any] | None, *, by_get: bool
) -> Answer[None]:
    """Executes a request. ``name`` is the name of the operation."""
    kind = media_type(head)
    introspects = ctx.services.settings.introspects
    documents = _documents[introspects]
    ctx.services.metrics.cache("documents", "hit" if documents.knows(query) else "miss").inc()
    prepared = documents.prepare(query)
    operation = prepared.operation(name)
    if by_get and operation not in (None, OperationType.QUERY):
        raise MethodNotAllowed("POST")
    if operation is OperationType.MUTATION:
        ctx.mutation = prepared.mutation(name)
    if prepared.errors or prepared.document is None:
        return _request_error(prepared.errors, kind, ctx)
    if operation is None:
        return _request_error([GraphQLError("Unknown or missing operation name")], kind, ctx)
    if prepared.plan is not None:
        with contextlib.suppress(plan.Unplanned):
            return _answer(200, {"data": plan.run(prepared.plan, ctx)}, kind)
    try:
        limits.check_cost(SCHEMA, prepared.document, name, variables or {})
    except GraphQLError as error:
        return _request_error([error], kind, ctx)
    result: Any = execute(
        SCHEMA,
        prepared.document,
        context_value=ctx,
        variable_values=variables,
        operation_name=name,
        max_coercion_errors=MOST,
        hide_suggestions=not introspects,
        is_awaitable=_is_awaitable,  # only coroutines and loaders' futures, because the general check is twice as slow
    )
    if inspect.isawaitable(result) and (result := await _before_deadline(result)) is None:
        too_slow = GraphQLError("", original_error=Overloaded(retry_after=1))
        return _answer(200, {"data": None, "errors": [_wire(too_slow, ctx)]}, kind)
    if not isinstance(result, ExecutionResult):
        return _request_error([result], kind, ctx)
    if result.data is None and result.errors and all(not e.path for e in result.errors):
        return _request_error(result.errors, kind, ctx)  # invalid variables, found before anything ran
    body: dict[str, Any] = {"data": result.data}
    if result.errors:
        for failed in result.errors:
            if isinstance(failed.original_error, Refusal):
                await ctx.services.refusals.record_refusal(ctx, failed.original_error, f"{PATH} {_field(failed)}")
        body["errors"] = [_wire(error, ctx) for error in result.errors]
    return _answer(200, body, kind)


def _answer(status: int, body: dict[str, Any], kind: Header) -> Answer[None]:
    return Answer(status, orjson.dumps(body), (kind, NO_STORE))


def _is_awaitable(value: Any) -> TypeGuard[Awaitable[Any]]:
    return type(value) is CoroutineType or type(value) is asyncio.Future


async def _before_deadline(result: Awaitable[Any]) -> Any:
    """Returns the result, or None if the deadline passed; then the work is canceled."""
    try:
        return await asyncio.wait_for(asyncio.ensure_future(result), DEADLINE_S)
    except TimeoutError:
        return None


def _field(error: GraphQLError) -> str:
    """The field's name in the schema. Its alias isn't used, because callers could invent any number of them."""
    node = error.nodes[0] if error.nodes else None
    return str(node.name.value) if isinstance(node, FieldNode) else ""


def _request_error(errors: list[GraphQLError], kind: Header, ctx: RequestContext) -> Answer[None]:
    """Returns the response for a document that didn't run. The status is 400, or 200 for ``application/json``, because
    clients of that media type expect it."""
    return _answer(400 if kind is GRAPHQL else 200, {"errors": [_wire(error, ctx) for error in errors]}, kind)


def _wire(error: GraphQLError, ctx: RequestContext) -> dict[str, Any]:
    original: Exception | None = error.original_error
    if isinstance(original, StoreUnavailable):
        ctx.services.log.info("store_unavailable", request_id=ctx.request_id, route=PATH, error=str(original))
        original = Overloaded(retry_after=1)
    if isinstance(original, Refusal):
        return in_graphql(original, ctx.request_id) | ({"path": error.path} if error.path else {})
    if original is not None and not isinstance(original, GraphQLError):
        ctx.services.log.error("internal_error", request_id=ctx.request_id, route=PATH, exc_info=original)
        extensions = {"code": "INTERNAL_ERROR", "requestId": ctx.request_id}
        return {"message": "Internal error", "path": error.path, "extensions": extensions}
    failed: dict[str, Any] = {"message": error.message}
    if error.locations:
        failed["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    if error.path:
        failed["path"] = error.path
    failed["extensions"] = {"code": "BAD_USER_INPUT", **(error.extensions or {}), "requestId": ctx.request_id}
    return failed
