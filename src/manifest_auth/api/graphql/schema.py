"""The schema: ``schema.graphql``, bound to resolvers.

Resolvers call the same functions as REST.

Only the schema's text states who can select a field (``@needs``, ``@anyone``). The permission is checked before the
resolver runs, and added to the field's description. The build fails for a root field with neither directive, a resolver
without a field, or a list without a size.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
    get_directive_values,
    is_introspection_type,
)

from manifest_auth.api.graphql import audit, users, work
from manifest_auth.api.graphql.lists import snake_case
from manifest_auth.errors import Forbidden
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.text.canonical import when

Info = GraphQLResolveInfo[RequestContext]
Resolver = Callable[..., Any]

#: Resolvers by type and field, such as ``Query.users``.
RESOLVERS: dict[str, Resolver] = {
    **users.USER_RESOLVERS,
    **users.MUTATION_RESOLVERS,
    **work.TEMPLATE_RESOLVERS,
    **work.JOB_RESOLVERS,
    **audit.RESOLVERS,
}

TEXT = Path(__file__).parent / "schema.graphql"


def _build() -> GraphQLSchema:
    # A test validates the schema's text, so a start doesn't need to. Locations in it are not used.
    schema = build_schema(TEXT.read_text("utf-8"), assume_valid_sdl=True, no_location=True)
    unused = dict(RESOLVERS)
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not is_introspection_type(kind):
            at_root = kind in (schema.query_type, schema.mutation_type)
            for name, field in kind.fields.items():
                where = f"{kind.name}.{name}"
                _bind(schema, field, where, unused.pop(where, None), at_root=at_root)
    if unused:
        raise ValueError(f"resolvers without a field: {', '.join(sorted(unused))}")
    time = schema.type_map["Time"]
    assert isinstance(time, GraphQLScalarType)
    time.coerce_output_value = when
    return schema


def _bind(schema: GraphQLSchema, field: GraphQLField, where: str, resolve: Resolver | None, *, at_root: bool) -> None:
    node = field.ast_node
    assert node is not None
    known = {directive.name: directive for directive in schema.directives}
    needs, size, weight = (get_directive_values(known[name], node) for name in ("needs", "size", "weight"))
    anyone = any(directive.name.value == "anyone" for directive in node.directives or ())
    permission = Permission(needs["permission"]) if needs else None
    if at_root and (resolve is None or (permission is not None) == anyone):
        raise ValueError(f"{where}: needs a resolver, and either @needs or @anyone")
    if _is_list_of_objects(field) and "first" not in field.args and not size:
        raise ValueError(f"{where}: a list needs first or @size")
    field.extensions = {
        "permission": permission,
        "size": size["of"] if size else 1,
        "weight": weight["of"] if weight else 1,
        "waits": resolve is not None and (inspect.iscoroutinefunction(resolve) or getattr(resolve, "waits", False)),
    }
    if at_root or permission is not None:
        open_to = f"Needs `{permission.value}`." if permission else "Any role."
        field.description = f"{field.description} {open_to}"
    resolve = resolve or _member(where.partition(".")[2])
    if where.startswith("Mutation."):
        resolve = _mutation(resolve)
    field.resolve = _guarded(permission, resolve) if at_root or permission is not None else resolve


def _is_list_of_objects(field: GraphQLField) -> bool:
    kind: Any = field.type
    listed = False
    while isinstance(kind, GraphQLNonNull | GraphQLList):
        listed = listed or isinstance(kind, GraphQLList)
        kind = kind.of_type
    return listed and isinstance(kind, GraphQLObjectType)


def _member(name: str) -> Resolver:
    """Resolves a plain field: the member of a row, or of a dict, with the field's name."""
    member = snake_case(name)
    return lambda source, _info: source[name] if type(source) is dict else getattr(source, member)


def _guarded(permission: Permission | None, resolve: Resolver) -> Resolver:
    """Wraps a resolver. Before it runs, raises Forbidden if the caller's roles don't allow the field. Without a
    permission, everyone except apps can select the field."""

    def guarded(source: Any, info: Info, **arguments: Any) -> Any:
        if permission is None:
            if info.context.user.is_app:
                raise Forbidden(details=[("caller", "Apps can't read this field")])
        elif permission not in info.context.user.permissions:
            raise Forbidden.without(permission.value)
        return resolve(source, info, **arguments)

    return guarded


def _mutation(resolve: Resolver) -> Resolver:
    """Wraps a mutation. Drops the rows that were loaded for the previous mutation, because they are outdated."""

    def fresh(source: Any, info: Info, **arguments: Any) -> Any:
        info.context.loaded.clear()
        return resolve(source, info, **arguments)

    return fresh


SCHEMA = _build()
