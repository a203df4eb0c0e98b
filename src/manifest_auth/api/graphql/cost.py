"""The cost limit of documents: the number of fields that can be resolved, with lists at the requested size.

A field counts one, a possibly long text its ``@weight`` from the schema, and the selection below a field counts once
for each item: ``first``, or ``@size``. Fragments are followed. The cost is computed with the request's variables,
before execution.
"""

from __future__ import annotations

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
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_operation_ast,
)

from manifest_auth.api.graphql.arguments import MOST

MAX_COST = 10_000


def check(schema: GraphQLSchema, document: DocumentNode, operation: str | None, variables: dict[str, Any]) -> None:
    """Computes the cost of a validated document's operation. Raises GraphQLError above :data:`MAX_COST`."""
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
        raise GraphQLError(f"The document costs {cost}, more than {MAX_COST}: ask for fewer fields or smaller pages")


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
        """How many items the field can have. An invalid number counts as the maximum; the resolver refuses it later."""
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
