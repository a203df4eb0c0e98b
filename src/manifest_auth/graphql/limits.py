"""What a document may ask for, counted before it is validated or executed, following fragments (security bar 94, 95).

The walk visits each fragment once for each place that spreads it, but stops at the limits themselves, so a bomb costs
no more than the limit; a fragment that spreads itself is left to validation, which refuses it.
"""

from __future__ import annotations

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
)

MAX_TOKENS = 2000
MAX_DEPTH = 12
MAX_FIELDS = 500
MAX_ALIASES = 30
MAX_ROOT_FIELDS = 20
MAX_DIRECTIVES = 50
MAX_OPERATIONS = 20


class _Counts:
    __slots__ = ("aliases", "directives", "fields")

    def __init__(self) -> None:
        self.fields = self.aliases = self.directives = 0


def check(document: DocumentNode) -> GraphQLError | None:
    """The first limit that the document breaks, or None."""
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    if len(document.definitions) > MAX_OPERATIONS:
        return GraphQLError(f"More than {MAX_OPERATIONS} definitions")
    for operation in operations:
        counts = _Counts()
        counts.directives = len(operation.directives or ())
        if len(operation.selection_set.selections) > MAX_ROOT_FIELDS:
            return GraphQLError(f"More than {MAX_ROOT_FIELDS} fields at the root")
        try:
            _walk(operation.selection_set, 1, counts, fragments, ())
        except GraphQLError as error:
            return error
    return None


def _walk(
    selections: SelectionSetNode,
    depth: int,
    counts: _Counts,
    fragments: dict[str, FragmentDefinitionNode],
    path: tuple[str, ...],
) -> None:
    if depth > MAX_DEPTH:
        raise GraphQLError(f"Nested deeper than {MAX_DEPTH} levels")
    for selection in selections.selections:
        counts.directives += len(selection.directives or ())
        if counts.directives > MAX_DIRECTIVES:
            raise GraphQLError(f"More than {MAX_DIRECTIVES} directives")
        counts.fields += 1  # spreads count too: empty ones would be free otherwise
        if counts.fields > MAX_FIELDS:
            raise GraphQLError(f"More than {MAX_FIELDS} fields")
        if isinstance(selection, FieldNode):
            if selection.alias is not None:
                counts.aliases += 1
                if counts.aliases > MAX_ALIASES:
                    raise GraphQLError(f"More than {MAX_ALIASES} aliases")
            if selection.selection_set is not None:
                _walk(selection.selection_set, depth + 1, counts, fragments, path)
        elif isinstance(selection, FragmentSpreadNode):
            name = selection.name.value
            if name in fragments and name not in path:
                _walk(fragments[name].selection_set, depth, counts, fragments, (*path, name))
        else:
            _walk(selection.selection_set, depth, counts, fragments, path)  # type: ignore[attr-defined]
