"""Limits of GraphQL requests: on the body, on the document's text, on the parsed document, and on its cost.

The first two are checked before parsing, and the others before validation or execution, with fragments followed.

The check visits a fragment once for each place that spreads it, and stops at the limits, so a fragment bomb costs no
more than the limit. A fragment that spreads itself is left to validation, which rejects it.
"""

from __future__ import annotations

import re
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_operation_ast,
)

from manifest_auth.api.graphql.lists import MOST
from manifest_auth.errors import ValidationError

MAX_VALUES = 2000  # in the variables; the largest useful input, the steps of a version, has 800
MAX_LENGTH = 32 * 1024  # characters; put long texts in variables
MAX_TOKENS = 2000
MAX_NUMBER = 400  # characters; enough for any finite number; Python rejects integers of more than 4,300 digits
MAX_DEPTH = 12
MAX_FIELDS = 500
MAX_ALIASES = 30
MAX_ROOT_FIELDS = 20
MAX_ARGUMENTS = 200
MAX_VARIABLES = 100
MAX_DIRECTIVES = 50
MAX_DEFINITIONS = 20
MAX_INTROSPECTIONS = 2  # how often `__schema` and `__type` can be selected
MAX_INTROSPECTION_DEPTH = 16  # the usual introspection query has 15 levels
MAX_REPEATS = 20  # fields already selected at the same place; validation compares every pair of them


# Matches a string to its end, or to the end of the text, without backtracking, so that counting takes linear time.
_TOKEN = re.compile(
    r'"""(?:\\"""|[^"]|"(?!""))*+(?:""")?|"[^"\\\r\n]*+(?:\\.[^"\\\r\n]*+)*+"?|#[^\r\n]*+|\.\.\.'
    r"|-?[0-9]++(?:\.[0-9]++)?+(?:[eE][-+]?[0-9]++)?+|\w++|[^\s,\ufeff]"
)


class _Counts:
    __slots__ = ("aliases", "arguments", "directives", "fields", "introspections", "repeats")

    def __init__(self) -> None:
        self.fields = self.aliases = self.arguments = self.directives = self.repeats = self.introspections = 0


Fragments = dict[str, FragmentDefinitionNode]


def check_body(body: bytes) -> None:
    """Counts the values in a JSON text by its commas and opening brackets outside strings. Raises ValidationError if
    there are too many, because parsing and coercing them would take a hundred times as long."""
    if _separators(body) <= MAX_VALUES:
        return
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")  # after this, each quote starts or ends a string
    if plain.count(b'"') > 4 * MAX_VALUES or _separators(b"".join(plain.split(b'"')[::2])) > MAX_VALUES:
        raise ValidationError(f"More than {MAX_VALUES} values")


def _separators(body: bytes) -> int:
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def check_text(text: str) -> GraphQLError | None:
    """Returns the error for the first limit that the text exceeds, or None. Comments count as tokens, because they cost
    as much."""
    if len(text) > MAX_LENGTH:
        return GraphQLError(f"More than {MAX_LENGTH} characters")
    for count, token in enumerate(_TOKEN.finditer(text)):
        if count == MAX_TOKENS:
            return GraphQLError(f"More than {MAX_TOKENS} tokens")
        if token.end() - token.start() > MAX_NUMBER and text[token.start()] in "-0123456789":
            return GraphQLError(f"A number of more than {MAX_NUMBER} characters")
    return None


def check_limits(document: DocumentNode) -> GraphQLError | None:
    """Returns the error for the first limit that the document exceeds, or None. Unused fragments count too, because
    validation reads them before rejecting them."""
    if len(document.definitions) > MAX_DEFINITIONS:
        return GraphQLError(f"More than {MAX_DEFINITIONS} definitions")
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    try:
        for definition in document.definitions:
            if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
                _check(definition, fragments)
    except GraphQLError as error:
        return error
    except RecursionError:
        return GraphQLError(f"Nested deeper than {MAX_DEPTH} levels")
    return None


def _check(definition: OperationDefinitionNode | FragmentDefinitionNode, fragments: Fragments) -> None:
    counts, names = _Counts(), set[str]()
    _directives(definition, counts)
    if len(definition.variable_definitions or ()) > MAX_VARIABLES:
        raise GraphQLError(f"More than {MAX_VARIABLES} variables")
    for variable in definition.variable_definitions or ():
        _directives(variable, counts)
    on = definition.type_condition.name.value if isinstance(definition, FragmentDefinitionNode) else ""
    deepest = MAX_INTROSPECTION_DEPTH if on.startswith("__") else MAX_DEPTH
    _walk(definition.selection_set, 1, counts, fragments, (), names, deepest)
    if isinstance(definition, OperationDefinitionNode) and len(names) > MAX_ROOT_FIELDS:
        raise GraphQLError(f"More than {MAX_ROOT_FIELDS} fields at the root")


def _directives(node: Any, counts: _Counts) -> None:
    counts.directives += len(node.directives or ())
    if counts.directives > MAX_DIRECTIVES:
        raise GraphQLError(f"More than {MAX_DIRECTIVES} directives")


def _walk(
    selections: SelectionSetNode,
    depth: int,
    counts: _Counts,
    fragments: Fragments,
    path: tuple[str, ...],
    names: set[str],
    deepest: int,
) -> None:
    """Counts the selections. ``names`` contains the response names selected at this place so far, including
    fragments."""
    if depth > deepest:
        raise GraphQLError(f"Nested deeper than {deepest} levels")
    for selection in selections.selections:
        _directives(selection, counts)
        counts.fields += 1  # spreads count too, because empty ones would otherwise be free
        if counts.fields > MAX_FIELDS:
            raise GraphQLError(f"More than {MAX_FIELDS} fields")
        if isinstance(selection, FieldNode):
            _field(selection, counts, names)
            if selection.selection_set is not None:
                below = MAX_INTROSPECTION_DEPTH if selection.name.value in ("__schema", "__type") else deepest
                _walk(selection.selection_set, depth + 1, counts, fragments, path, set(), below)
        elif isinstance(selection, FragmentSpreadNode):
            name = selection.name.value
            if name in fragments and name not in path:
                _walk(fragments[name].selection_set, depth, counts, fragments, (*path, name), names, deepest)
        elif isinstance(selection, InlineFragmentNode):
            _walk(selection.selection_set, depth, counts, fragments, path, names, deepest)


def _field(field: FieldNode, counts: _Counts, names: set[str]) -> None:
    if field.alias is not None:
        counts.aliases += 1
        if counts.aliases > MAX_ALIASES:
            raise GraphQLError(f"More than {MAX_ALIASES} aliases")
    counts.arguments += len(field.arguments or ())
    if counts.arguments > MAX_ARGUMENTS:
        raise GraphQLError(f"More than {MAX_ARGUMENTS} arguments")
    counts.introspections += field.name.value in ("__schema", "__type")
    if counts.introspections > MAX_INTROSPECTIONS:
        raise GraphQLError(f"More than {MAX_INTROSPECTIONS} introspections")
    name = (field.alias or field.name).value
    if name in names:
        counts.repeats += 1
        if counts.repeats > MAX_REPEATS:
            raise GraphQLError(f"More than {MAX_REPEATS} fields requested again")
    names.add(name)


MAX_COST = 10_000


def check_cost(schema: GraphQLSchema, document: DocumentNode, operation: str | None, variables: dict[str, Any]) -> None:
    """Computes the cost of a validated document's operation with the request's variables. Each field counts as one, and
    a possibly long text counts as its ``@weight`` from the schema. The selection below a field counts once for each
    item: ``first``, or ``@size``. Raises GraphQLError above :data:`MAX_COST`."""
    found = get_operation_ast(document, operation)
    root = schema.get_root_type(found.operation) if found else None
    if found is None or root is None:
        return
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    defaults = {d.variable.name.value: d.default_value for d in found.variable_definitions or ()}
    wanted = {
        name: int(default.value) for name, default in defaults.items() if isinstance(default, IntValueNode)
    } | variables
    cost = _Counter(schema, fragments, wanted).of(root, found.selection_set)
    if cost > MAX_COST:
        raise GraphQLError(
            f"The document costs {cost}, and the limit is {MAX_COST}. Request fewer fields or smaller pages"
        )


class _Counter:
    def __init__(
        self, schema: GraphQLSchema, fragments: dict[str, FragmentDefinitionNode], variables: dict[str, Any]
    ) -> None:
        self._schema, self._fragments, self._variables = schema, fragments, variables

    def of(self, kind: GraphQLObjectType, selections: SelectionSetNode) -> int:
        cost = 0
        for node in selections.selections:
            if isinstance(node, FieldNode):
                field = kind.fields.get(node.name.value)
                cost += field.extensions.get("weight", 1) if field is not None else 1
                if field is not None and node.selection_set is not None:
                    below = get_named_type(field.type)
                    assert isinstance(below, GraphQLObjectType)
                    cost += self._items(node, field) * self.of(below, node.selection_set)
            elif isinstance(node, FragmentSpreadNode):
                cost += self.of(kind, self._fragments[node.name.value].selection_set)
            elif isinstance(node, InlineFragmentNode):
                cost += self.of(kind, node.selection_set)
        return cost

    def _items(self, node: FieldNode, field: GraphQLField) -> int:
        """The maximum number of items of the field. An invalid number counts as the maximum, because the resolver
        rejects it later."""
        argument = field.args.get("first")
        if argument is None:
            size: int = field.extensions.get("size", 1)
            return size
        node_of = argument.ast_node.default_value if argument.ast_node else None
        usual = int(node_of.value) if isinstance(node_of, IntValueNode) else MOST
        wanted: Any = usual
        for one in node.arguments or ():
            if one.name.value == "first":
                if isinstance(one.value, IntValueNode):
                    wanted = int(one.value.value)
                elif isinstance(one.value, VariableNode):
                    wanted = self._variables.get(one.value.name.value)
                    wanted = usual if wanted is None else wanted
        return wanted if type(wanted) is int and 1 <= wanted <= MOST else MOST
