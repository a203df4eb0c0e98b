"""Cache of GraphQL documents: each is parsed, limited and validated once, then cached by its text, within bounds."""

from __future__ import annotations

from typing import NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    NoSchemaIntrospectionCustomRule,
    OperationType,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)

from manifest_auth.api.graphql import limits
from manifest_auth.api.graphql.plan import Plan
from manifest_auth.api.graphql.plan import build as build_plan
from manifest_auth.api.graphql.schema import SCHEMA
from manifest_auth.services import Mutation

MAX_CACHED = 1000
#: A parsed document takes about 250 bytes per character, so the whole cache stays below 32 MiB.
MAX_CACHED_TEXT = 128 * 1024
MAX_CACHED_LENGTH = 8 * 1024
MAX_ERRORS = 5
#: Of a mutation in the log.
_LONGEST_NAME, _MOST_FIELDS = 64, 10


class Prepared(NamedTuple):
    """``document``: None when parsing failed; it may be executed when there are no ``errors``."""

    document: DocumentNode | None
    errors: list[GraphQLError]
    plan: Plan | None = None  # the fast plan, where there is one

    def operation(self, name: str | None) -> OperationType | None:
        """The type of the named, or the only, operation; None when there is no such operation."""
        found = get_operation_ast(self.document, name) if self.document else None
        return found.operation if found else None

    def mutation(self, name: str | None) -> Mutation | None:
        """What the log says of the named, or the only, operation; None when it is no mutation."""
        found = get_operation_ast(self.document, name) if self.document else None
        if found is None or found.operation is not OperationType.MUTATION:
            return None
        fields = [one.name.value for one in found.selection_set.selections if isinstance(one, FieldNode)]
        return Mutation(found.name.value[:_LONGEST_NAME] if found.name else "", tuple(fields[:_MOST_FIELDS]))


class Documents:
    """The cache of one process. Only valid documents: invalid ones must not evict those that clients send all the
    time."""

    def __init__(self, *, introspects: bool) -> None:
        self._introspects = introspects
        self._known: dict[str, Prepared] = {}
        self._text = 0

    def __len__(self) -> int:
        return len(self._known)

    @property
    def text(self) -> int:
        """Characters of all cached documents."""
        return self._text

    def knows(self, query: str) -> bool:
        """Whether the document is cached."""
        return query in self._known

    def prepare(self, query: str) -> Prepared:
        """The document, parsed and validated within the limits, or its errors; cached if it has none."""
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
    if (broken := limits.check(document)) is not None:
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
