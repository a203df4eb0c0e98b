"""What a document may ask for, counted before it is validated or executed, following fragments (security bar 94, 95).

The walk visits each fragment once for each place that spreads it, but stops at the limits themselves, so a bomb costs
no more than the limit; a fragment that spreads itself is left to validation, which refuses it.
"""

from __future__ import annotations

from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

MAX_LENGTH = 64 * 1024  # characters; texts belong into variables
MAX_TOKENS = 2000
MAX_DEPTH = 12
MAX_FIELDS = 500
MAX_ALIASES = 30
MAX_ROOT_FIELDS = 20
MAX_DIRECTIVES = 50
MAX_DEFINITIONS = 20
MAX_REPEATS = 20  # of names already asked for at the same place: validation compares each pair of them


class _Counts:
    __slots__ = ("aliases", "directives", "fields", "repeats")

    def __init__(self) -> None:
        self.fields = self.aliases = self.directives = self.repeats = 0


Fragments = dict[str, FragmentDefinitionNode]


def check(document: DocumentNode) -> GraphQLError | None:
    """The first limit that the document breaks, or None. Fragments that nobody spreads count too: validation reads
    them before it says that they are not used."""
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
    for variable in definition.variable_definitions or ():
        _directives(variable, counts)
    _walk(definition.selection_set, 1, counts, fragments, (), names)
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
) -> None:
    """``names``: what was asked for at this place so far, fragments included."""
    if depth > MAX_DEPTH:
        raise GraphQLError(f"Nested deeper than {MAX_DEPTH} levels")
    for selection in selections.selections:
        _directives(selection, counts)
        counts.fields += 1  # spreads count too: empty ones would be free otherwise
        if counts.fields > MAX_FIELDS:
            raise GraphQLError(f"More than {MAX_FIELDS} fields")
        if isinstance(selection, FieldNode):
            _field(selection, counts, names)
            if selection.selection_set is not None:
                _walk(selection.selection_set, depth + 1, counts, fragments, path, set())
        elif isinstance(selection, FragmentSpreadNode):
            name = selection.name.value
            if name in fragments and name not in path:
                _walk(fragments[name].selection_set, depth, counts, fragments, (*path, name), names)
        elif isinstance(selection, InlineFragmentNode):
            _walk(selection.selection_set, depth, counts, fragments, path, names)


def _field(field: FieldNode, counts: _Counts, names: set[str]) -> None:
    if field.alias is not None:
        counts.aliases += 1
        if counts.aliases > MAX_ALIASES:
            raise GraphQLError(f"More than {MAX_ALIASES} aliases")
    name = (field.alias or field.name).value
    if name in names:
        counts.repeats += 1
        if counts.repeats > MAX_REPEATS:
            raise GraphQLError(f"More than {MAX_REPEATS} fields asked for again")
    names.add(name)
