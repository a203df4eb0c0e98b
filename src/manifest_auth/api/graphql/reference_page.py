"""The docs page on GraphQL, made from the schema: limits, the table of roles and operations, the schema's text."""

from __future__ import annotations

from pathlib import Path

from graphql import GraphQLField, GraphQLObjectType

from manifest_auth.api.graphql import execution, limits, lists
from manifest_auth.api.graphql.schema import SCHEMA
from manifest_auth.permissions import HOLDERS, Permission, Role
from manifest_auth.work import MOST_ROWS

_INTRO = """\
# GraphQL

<!-- Made from the code by `./dev docs`; a test holds it to it. Edit `src/manifest_auth/api/graphql` instead. -->

`POST /api/client/graphql` with an access token or the session cookie, as the
[GraphQL-over-HTTP](https://graphql.github.io/graphql-over-http/draft/) specification says. Everything is inside the
client of the signed-in user: an id of another client is answered with `NOT_FOUND`, like one that never existed. Try it
at `/explorer`, where introspection is on (`MANIFEST_INTROSPECTION`). The schema below is always at
`/api/client/graphql/schema.graphql`, for every signed-in user: [clients made by generators](generated-clients.md).

`$TOKEN` is your access token ([sign in](integrators.md#sign-in)).

```sh
curl -s http://127.0.0.1:8080/api/client/graphql -H "Authorization: Bearer $TOKEN" \\
  -H 'Content-Type: application/json' -d '{{"query": "{{ me {{ email roles {{ name }} }} users {{ id email }} }}"}}'
```

**Errors.** An error in one field leaves the others whole: the field is null, or its parent where it cannot be, and
`errors` has its path, a `code` (see [errors](errors.md); `VALIDATION_ERROR` is `BAD_USER_INPUT` here, with `details`
that name the argument) and the request id. A document that does not run at all has no `data`. A missing or bad
credential is 401.

**Lists** take `first` ({usual} when left out, {most} at most), `after`, `filter` and `sort`. Each list has a page type
(`usersPage`, `templatesPage`, `jobsPage`, `auditEventsPage`) with `items`, `nextCursor` for the next `after`, and
`total`, which is counted only when asked for. The audit trail has one order, by time (`order`), and is too long to
search as a whole: its lists say where they end. Lists inside a template or job are numbered from 1; there `after` is
the last number seen.

**Limits.** A document is refused before it runs when it has more than {length} characters, {tokens} tokens, {depth}
levels, {fields} fields, {aliases} aliases, {roots} fields at the root, {arguments} arguments, {variables} variables,
{definitions} definitions or {directives} directives, counted through fragments; when it asks more than {repeats} times
for a field that it asks for already at the same place; or when it costs more than {cost}: a field costs one, a text
that may be long up to ten, and what is below a list as often as the list may have items. A body has at most {values}
values, in 1 MiB. A field gives an error, `BAD_USER_INPUT`, when below one list there are more than {rows} steps,
records or log entries to read: ask for a smaller page. A request has {deadline} seconds; then it is refused with
`OVERLOADED`, and a mutation may have been made all the same. Mutations never run by `GET`.

## Who may do what

Permissions of several roles add up. `me {{ permissions }}` tells a caller in advance.

"""


def graphql_page() -> str:
    """The page of the docs, as Markdown."""
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
    return f"{intro}{_table()}\n## The schema\n\n```graphql\n{text}```\n"


def _table() -> str:
    head = " | ".join(role.value for role in Role)
    lines = [f"| operation | needs | {head} |", "| --- | --- |" + " --- |" * len(Role)]
    for kind in (SCHEMA.query_type, SCHEMA.mutation_type):
        assert isinstance(kind, GraphQLObjectType)
        lines += [_row(name, field) for name, field in kind.fields.items()]
    return "\n".join(lines) + "\n"


def _row(name: str, field: GraphQLField) -> str:
    permission: Permission | None = field.extensions["permission"]
    cells = " | ".join("x" if permission is None or role in HOLDERS[permission] else "" for role in Role)
    return f"| `{name}` | {f'`{permission.value}`' if permission else ''} | {cells} |"
