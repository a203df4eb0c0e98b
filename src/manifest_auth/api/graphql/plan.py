"""Fast execution of documents that only name fields, without variables, arguments, fragments, or directives.

Most calls are of this kind (`{ me { id email } }`), and graphql-core's executor takes many times as long as their
resolvers. A plan is created once from the validated document, and calls the same resolvers. If something unsupported
occurs (an asynchronous resolver, an error, a null, or a value of an unexpected type), the executor starts again. So
resolvers of planned fields must have no side effects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLField,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
)

from manifest_auth.services import RequestContext

_MAX_INT = 2**31 - 1


class Unplanned(Exception):
    """The general executor must execute the document."""


class _Info:
    """The only part of ``info`` that a planned resolver can read."""

    __slots__ = ("context",)

    def __init__(self, context: RequestContext) -> None:
        self.context = context


class _Step(NamedTuple):
    key: str
    get: Callable[[Any, Any], Any]
    is_list: bool
    leaf: type | None  # str or int; None for an object
    steps: tuple[_Step, ...]


Plan = tuple[_Step, ...]


def build(schema: GraphQLSchema, document: DocumentNode) -> Plan | None:
    """Builds the plan of a validated document. None if only the executor can run it."""
    if len(document.definitions) != 1 or schema.query_type is None:
        return None
    operation = document.definitions[0]
    if not isinstance(operation, OperationDefinitionNode) or operation.operation is not OperationType.QUERY:
        return None
    if operation.variable_definitions or operation.directives:
        return None
    return _steps(schema.query_type, operation.selection_set)


def run(plan: Plan, context: RequestContext) -> dict[str, Any]:
    """Returns the ``data`` of the response. Raises :class:`Unplanned`."""
    try:
        return _object(plan, None, _Info(context))
    except Unplanned:
        raise
    except Exception as error:
        raise Unplanned from error


def _steps(kind: GraphQLObjectType, selections: SelectionSetNode) -> Plan | None:
    steps: list[_Step] = []
    for node in selections.selections:
        if not isinstance(node, FieldNode) or node.arguments or node.directives:
            return None
        field = kind.fields.get(node.name.value)
        step = None if field is None else _step(node, field)
        if step is None:
            return None
        steps.append(step)
    if len({step.key for step in steps}) != len(steps):  # fields with the same key would need merging
        return None
    return tuple(steps)


def _step(node: FieldNode, field: GraphQLField) -> _Step | None:
    if field.args or field.extensions.get("waits") or field.resolve is None:
        return None
    key, get = node.alias.value if node.alias else node.name.value, field.resolve
    kind = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
    is_list = isinstance(kind, GraphQLList)
    if isinstance(kind, GraphQLList):
        kind = kind.of_type.of_type if isinstance(kind.of_type, GraphQLNonNull) else kind.of_type
    if kind is GraphQLString or kind is GraphQLInt:
        return _Step(key, get, is_list, str if kind is GraphQLString else int, ())
    if isinstance(kind, GraphQLObjectType) and node.selection_set is not None:
        inner = _steps(kind, node.selection_set)
        return None if inner is None else _Step(key, get, is_list, None, inner)
    return None


def _object(steps: Plan, source: Any, info: _Info) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    for key, get, is_list, leaf, inner in steps:
        value = get(source, info)
        if is_list:
            answer[key] = [_value(leaf, inner, item, info) for item in value]
        else:
            answer[key] = _value(leaf, inner, value, info)
    return answer


def _value(leaf: type | None, inner: Plan, value: Any, info: _Info) -> Any:
    if leaf is None:
        if value is None:
            raise Unplanned
        return _object(inner, value, info)
    if type(value) is not leaf or (isinstance(value, int) and not -_MAX_INT <= value <= _MAX_INT):
        raise Unplanned
    return value
