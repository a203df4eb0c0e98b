"""The GraphQL page of the docs, generated from the schema: limits, a table of roles and operations, and the text."""

from __future__ import annotations

from pathlib import Path

from graphql import GraphQLField, GraphQLObjectType

from manifest_auth.api.graphql import execution, limits, lists
from manifest_auth.api.graphql.schema import SCHEMA
from manifest_auth.permissions import HOLDERS, Permission, Role
from manifest_auth.work import MOST_ROWS

_INTRO = """\
# GraphQL

<!-- Generated from the code by `./dev docs`; a test compares it with the code. Edit `src/manifest_auth/api/graphql`
instead. -->

Read and change a client's users, templates, and jobs with GraphQL.

Send `POST /api/client/graphql` with an access token or the session cookie, as described in the
[GraphQL-over-HTTP](https://graphql.github.io/graphql-over-http/draft/) specification. Everything belongs to the client
of the signed-in user: an ID of another client returns `NOT_FOUND`, like an ID that never existed.

If introspection is on (`MANIFEST_INTROSPECTION`), you can try queries at `/explorer`. The schema below is always at
`/api/client/graphql/schema.graphql`, for every signed-in user; see [generated clients](generated-clients.md).

`$TOKEN` is your access token ([sign in](integrators.md#sign-in)).

```sh
curl -s http://127.0.0.1:8080/api/client/graphql -H "Authorization: Bearer $TOKEN" \\
  -H 'Content-Type: application/json' -d '{{"query": "{{ me {{ email roles {{ name }} }} users {{ id email }} }}"}}'
```

## Errors

An error in one field doesn't affect the others. The field is null, or its parent if the field can't be null. `errors`
has the path, a `code` (see [errors](errors.md)), and the request ID. `VALIDATION_ERROR` is `BAD_USER_INPUT` here, with
`details` that name the argument. A document that can't run has no `data`. A missing or invalid credential returns 401.

## Lists

Lists take `first` ({usual} by default, {most} at most), `after`, `filter`, and `sort`. Each list has a page type
(`usersPage`, `templatesPage`, `jobsPage`, `auditEventsPage`) with `items`, `nextCursor` for the next `after`, and
`total`. The server counts `total` only if you request it. The audit trail is always sorted by time (`order`). It is too
long to search completely, so its lists can end early and tell you so. Lists inside a template or job are numbered from
1; there, `after` is the last number that you have seen.

## Limits

Before it runs a document, the server rejects it if it has more than one of these, counted through fragments:

- {length} characters, {tokens} tokens, {depth} levels, or {fields} fields
- {aliases} aliases, {roots} root fields, {arguments} arguments, or {variables} variables
- {definitions} definitions or {directives} directives
- {repeats} repetitions of a field at the same place
- A cost of {cost}. A field costs 1, a long text up to 10, and everything below a list costs as often as the list can
  have items

These limits apply as well:

- A body has at most {values} values, in 1 MiB.
- If there are more than {rows} steps, records, or log entries to read below one list, the field returns the error
  `BAD_USER_INPUT`. Request a smaller page.
- A request can take {deadline} seconds. After that, it fails with `OVERLOADED`, but a mutation might have been
  completed.
- Mutations never run with `GET`.

## Permissions

Permissions of several roles add up. `me {{ permissions }}` tells a caller in advance.

"""


def graphql_page() -> str:
    """The docs page, as Markdown."""
    intro = _INTRO.format(
        usual=lists.FIRST,
        most=lists.MOST,
        length=f"{limits.MAX_LENGTH:,}",
        tokens=f"{limits.MAX_TOKENS:,}",
        depth=limits.MAX_DEPTH,
        fields=limits.MAX_FIELDS,
        arguments=limits.MAX_ARGUMENTS,
        variables=limits.MAX_VARIABLES,
        values=f"{limits.MAX_VALUES:,}",
        aliases=limits.MAX_ALIASES,
        roots=limits.MAX_ROOT_FIELDS,
        definitions=limits.MAX_DEFINITIONS,
        directives=limits.MAX_DIRECTIVES,
        repeats=limits.MAX_REPEATS,
        rows=f"{MOST_ROWS:,}",
        cost=f"{limits.MAX_COST:,}",
        deadline=f"{execution.DEADLINE_S:g}",
    )
    text = (Path(__file__).parent / "schema.graphql").read_text("utf-8")
    return f"{intro}{_table()}\n## Schema\n\n```graphql\n{text}```\n"


def _table() -> str:
    head = " | ".join(role.value for role in Role)
    lines = [f"| Operation | Needs | {head} |", "| --- | --- |" + " --- |" * len(Role)]
    for kind in (SCHEMA.query_type, SCHEMA.mutation_type):
        assert isinstance(kind, GraphQLObjectType)
        lines += [_row(name, field) for name, field in kind.fields.items()]
    return "\n".join(lines) + "\n"


def _row(name: str, field: GraphQLField) -> str:
    permission: Permission | None = field.extensions["permission"]
    cells = " | ".join("x" if permission is None or role in HOLDERS[permission] else "" for role in Role)
    return f"| `{name}` | {f'`{permission.value}`' if permission else ''} | {cells} |"
