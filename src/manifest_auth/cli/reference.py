"""Writes the docs pages that are generated from the code.

``python -m manifest_auth.cli.reference [--check] FOLDER``

``--check`` writes nothing, and prints the pages that are out of date.
"""

from __future__ import annotations

import argparse
import fnmatch
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
from msgspec import inspect

from manifest_auth.api.graphql.reference_page import graphql_page
from manifest_auth.app import ROUTES, page_routes
from manifest_auth.audit import catalogue
from manifest_auth.cli.main import parser
from manifest_auth.errors import REFUSALS
from manifest_auth.http import Access, Route, openapi
from manifest_auth.http.request import FORM
from manifest_auth.permissions import HOLDERS, Permission, Role
from manifest_auth.runtime import log_events
from manifest_auth.runtime.settings import DAY, FILE_FIELDS, HOUR, MINUTE, Settings, variable
from manifest_auth.sign_in.refusal_reasons import reasons_page

_ERRORS = """\
# Errors

<!-- Generated from the code by `./dev docs`; a test compares it with the code.
Edit `src/manifest_auth/errors.py` instead. -->

This page lists every error code of the API. Errors of the REST API under `/api` have the same shape for all routes and
statuses:

```json
{"success": false, "error": {"message": "Invalid email or password", "code": "INVALID_CREDENTIALS", "requestId": "…"}}
```

- `code` is for programs, and its meaning never changes.
- `message` is for people.
- `requestId` is the request ID. It is also in the header `X-Request-ID` and in the server's log.
- `details` is a list of `{"field", "message"}`, in `VALIDATION_ERROR` and a few others.
- `challenge` and `expiresIn` are in `MFA_REQUIRED`.

Some statuses have a header: 401 has `WWW-Authenticate`, 405 has `Allow`, and 429 and 503 have `Retry-After` in seconds.

Errors look different in these places:

- GraphQL returns `errors[]`. The `extensions` of each have `code` (`BAD_USER_INPUT` instead of `VALIDATION_ERROR`),
  `requestId`, and `details`. The status can be 200, with `data` beside the errors.
- `/oauth2/*` returns errors as in RFC 6749: `error`, `error_description`, and `request_id`
  ([all of them](machine-callers.md#errors)).
- Pages, and single sign-on in a browser, show a page with the request ID.

| Code | Status | Message | When |
| --- | --- | --- | --- |
"""

_SETTINGS = """\
# Settings

<!-- Generated from the code by `./dev docs`; a test compares it with the code.
Edit `src/manifest_auth/runtime/settings/values.py` instead. -->

This page lists every setting. To change a setting, use one of these:

- An environment variable.
- A line of a TOML file, with the setting's short name, like `port = 8080`. Name the file with `--config FILE`, before
  or after the command, or with `MANIFEST_CONFIG`.
- A file that contains only the value, for secrets and database addresses (see [Secrets in files](#secrets-in-files)).

If both a variable and the TOML file set it, the variable wins. If a setting is invalid or doesn't exist, the server
doesn't start and prints one line. It ignores variables that begin with `MANIFEST_AUTH_`, and those that Kubernetes sets
for a service named `manifest` ([why](decisions/0016-settings-in-the-environment.md)).

## Secrets in files

The settings marked *can be a file* don't have to be in the environment, where other processes can read them. Add
`_FILE` to the name of the variable, or `_file` to the short name, and set it to the path of a file. Containers and
Kubernetes mount secrets as such files:

```sh
MANIFEST_SECRET_KEY_FILE=/run/secrets/secret_key MANIFEST_DATABASE_URL_FILE=/run/secrets/database manifest-auth serve
```

With systemd, you can use a credential with the name of the variable instead. It needs no setting:

```ini
LoadCredential=MANIFEST_SECRET_KEY:/etc/manifest-auth/secret_key
```

- The file is text in UTF-8 of at most 64 KiB. A newline at its end isn't part of the value.
- If the file is missing, unreadable, empty, or not a regular file, the server doesn't start. The same applies if it
  has a NUL character, or more than one line. Only the secret key can have several lines, one for each key.
- If a setting has such a file, nothing else can set it: no variable, no line of the TOML file, and no other file.
- The server reads a file when it starts. It checks the file of the secret key again before it encrypts anything, so a
  [new key](operations/backup.md#secret-key) needs no restart.

## A file of environment variables

With `--env-file FILE`, before or after the command, the server and all other commands read variables from a file in
the same way ([why](decisions/0051-one-file-of-settings.md)).

- Each line is `NAME=VALUE`, empty, or a comment that begins with `#` or `;`.
- The value is the rest of the line. Nothing in it is run or expanded, and `$`, `&`, `;`, and `#` have no special
  meaning.
- Blanks at the ends of a value are removed. To keep them, put quotes around the whole value: `'…'` or `"…"`.
- If a value contains a backslash or begins with a quote, put it in single quotes: `'…'`.
- A setting can't have one value in the file and another in the environment.
- The file can contain other variables, such as `SSL_CERT_FILE`. Variables that Python itself reads when it starts
  (`PYTHON…`) have no effect there.

To see which settings of the running server differ from yours, run `manifest-auth doctor`.

## All settings

| Variable | Short name | Default | Values | Meaning |
| --- | --- | --- | --- | --- |
"""


_COMMANDS = """\
# Command line

<!-- Generated from the code by `./dev docs`; a test compares it with the code.
Edit the module of the command in `src/manifest_auth/cli` instead. -->

This page lists every command of `manifest-auth`. For the arguments of a command, add `--help`.

- `--env-file FILE` and `--config FILE` name [files of settings](settings.md). They work before and after every command.
- `--json` prints the result as JSON, with the members in the table. *each* means a list. Scripts can rely on the
  JSON members, but not on the text output.
- Times are RFC 3339 in UTC. A member without a value is `null`.
- Progress and warnings go to standard error.
- Relative paths start in the current folder.

## Exit status

| Status | Meaning |
| --- | --- |
| 0 | The command succeeded, and found no problems |
| 1 | The command failed, or a check found a problem. The reason is on standard error or in the result |
| 2 | An argument or a setting is invalid, or the database doesn't match what this version expects |
| 3 | The database has an older schema. Run `manifest-auth db upgrade`. After `db status`, stop all servers first |
| 130, 143 | The command was interrupted (Ctrl-C) or terminated |
| 141 | The program that read the output ended first, as in `doctor \\| head -1` |

## All commands

| Command | Purpose | Members of `--json` |
| --- | --- | --- |
"""


def commands_page() -> str:
    """The text of ``commands.md``: all commands, in the order of the help."""
    return _COMMANDS + "".join(
        f"| `{' '.join(words)}` | {says} | {_members(one)} |\n" for words, one, says in leaves(parser())
    )


def _members(command: argparse.ArgumentParser) -> str:
    """The members that the help of ``--json`` lists."""
    helps = (each.help or "" for each in command._actions if each.dest == "json")
    members = "".join(helps).partition("JSON (")[2].rpartition(")")[0]
    return re.sub(r"--\w+|\w+[a-z](?=[,;)]| \(|$)", r"`\g<0>`", members)


def leaves(
    grammar: argparse.ArgumentParser, words: tuple[str, ...] = (), says: str = ""
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser, str]]:
    """Yields each command without actions, and each action of the others: its words, its arguments, and its help."""
    groups = [each for each in grammar._actions if isinstance(each, argparse._SubParsersAction)]
    if not groups:
        yield words, grammar, f"{says[:1].upper()}{says[1:]}"
    for group in groups:
        for each in group._choices_actions:  # without aliases
            yield from leaves(group.choices[each.dest], (*words, each.dest), each.help or "")


def errors_page() -> str:
    """The text of ``errors.md``: all error codes, in the order of the list."""
    return _ERRORS + "".join(f"| `{one.code}` | {one.status} | {one.sentence} | {one.when} |\n" for one in REFUSALS)


def settings_page() -> str:
    """The text of ``settings.md``: all settings, in the order of the class."""
    found = inspect.type_info(Settings)
    assert isinstance(found, inspect.StructType)
    plain = get_type_hints(Settings)  # msgspec sorts the values of a Literal, but the original order is better
    return _SETTINGS + "".join(_setting(field, get_args(plain[field.name])) for field in found.fields)


def _setting(field: inspect.Field, words: tuple[Any, ...]) -> str:
    kind, sentence = field.type, ""
    while isinstance(kind, inspect.Metadata):
        sentence = sentence or (kind.extra_json_schema or {}).get("description", "")
        kind = kind.type
    values = _values(kind, words, can_be_file=field.name in FILE_FIELDS)
    return f"| `{variable(field.name)}` | `{field.name}` | {_default(field)} | {values} | {sentence} |\n"


def _default(field: inspect.Field) -> str:
    value = field.default
    if value is msgspec.NODEFAULT or value is None or value == "":
        return "none"
    for unit, name in ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes")):
        if field.name.endswith("_ttl") and isinstance(value, int) and value > unit and not value % unit:
            return f"`{value}` ({value // unit} {name})"
    return f"`{value}`"


def _values(kind: Any, words: tuple[Any, ...], *, can_be_file: bool) -> str:
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return f"{kind.ge} to {kind.le}" if kind.le is not None else f"{kind.ge} or more"
    if isinstance(kind, inspect.LiteralType):
        return ", ".join(f"`{value}`" for value in words if value)
    what = "secret text" if isinstance(kind, inspect.UnionType) else "text"
    return f"{what}; can be a file" if can_be_file else what


_HEAD = """\
# Pages

<!-- Generated from the code by `./dev docs`; a test compares it with the code. -->

This page lists every page that the server shows in browsers. Programs call the routes of `/openapi.json` instead. Pages
work only at `MANIFEST_PUBLIC_URL`, and a form works only on the page that contains it.

- Pages for users redirect everyone else to `/sign-in` and back. If a page requires a permission that you don't have,
  you get a 404 error.
- Pages for system admins use a separate session, and redirect everyone else to `/installation/sign-in`.
- Each form on pages for users and system admins works once, on all nodes. If you reload, go back, or click twice, you
  get the first result. Forms on sign-in pages and for re-authentication don't write to the database; each step of a
  sign-in works once.
- If your session expires or an action requires re-authentication, the form waits for an hour. After re-authentication
  in the same session, the action completes. After a new sign-in, the page shows the form as you filled it in. It never
  keeps passwords, PINs, codes, and other secrets: the page asks for them again, also after re-authentication. No other
  user can open it.
- Before an action that affects many people or can't be undone, a page shows what it affects, and asks for confirmation.
- A page with a new secret shows it for 10 minutes in the same session, or until you say that you saved it. The database
  stores it encrypted.

| Route | Open to | Purpose |
| --- | --- | --- |
"""


def pages_page() -> str:
    """The text of ``pages.md``: all pages, by address."""
    found = [route for route in (*ROUTES, *page_routes()) if route.access is Access.PAGE]
    return _HEAD + "".join(_line(route) for route in sorted(found, key=lambda route: (route.path, route.method)))


def _line(route: Route) -> str:
    return f"| `{route.method} {route.path}` | {route.audience or 'everyone'} | {route.summary} |\n"


# Entries of ``docs/reference/http.md`` follow a comment ``<!-- routes: PATTERN | … -->``. It selects routes with
# patterns of ``METHOD /path``, in which ``*`` matches anything. Every route must belong to one comment. Long shapes
# follow ``<!-- shapes -->``.


# Formats JSON Schemas for ``docs/reference/http.md``, such as ``{name: text 1..200, size?: number}``.


Schema = Mapping[str, Any]

_SHAPE_WIDTH = 110
_LONG = 300  # longer shapes that several responses have are shown once
_WORDS = {"string": "text", "integer": "number", "null": "null", "boolean": "boolean"}
_FORMATS = {"date-time": "time", "binary": "bytes"}


class Shapes:
    """Formats schemas. Refers by name to long schemas in ``components`` that are used more than once."""

    def __init__(self, components: Schema, used: Iterable[Schema]) -> None:
        self._components = components
        names = [name for schema in used for name in self._names(schema)]
        twice = sorted({name for name in names if names.count(name) > 1})
        self.named: list[str] = []
        self.named = [name for name in twice if len(self._flat(self._components[name])) > _LONG]

    def _names(self, schema: Schema) -> Iterator[str]:
        """The components that a schema refers to, at any depth."""
        if "$ref" in schema:
            name = _name(schema)
            yield name
            schema = self._components[name]
        items = [schema["items"]] if "items" in schema else []
        for inner in (*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *items):
            yield from self._names(inner)

    def resolved(self, schema: Schema) -> Schema:
        """Returns the schema that a reference names."""
        if "$ref" in schema:
            found: Schema = self._components[_name(schema)]
            return found
        return schema

    def definition(self, name: str) -> str:
        """A named shape: ``Name {…}``."""
        return f"{name} {self.show(self._components[name], 0)}"

    def show(self, schema: Schema, indent: int) -> str:
        """Formats the schema in one line if it fits, otherwise with one member per line. ``indent`` is the starting
        column."""
        flat = self._flat(schema)
        if flat in self.named:
            return flat
        schema = self.resolved(schema)
        if indent + len(flat) <= _SHAPE_WIDTH:
            return flat
        inner = " " * (indent + 2)
        if schema.get("type") == "object" and "properties" in schema:
            lines = [
                f"{inner}{_named(name, schema)}: {self.show(one, indent + 2)}"
                for name, one in schema["properties"].items()
            ]
            return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}"
        if schema.get("type") == "array":
            return f"[{self.show(schema['items'], indent)}]"
        if "anyOf" in schema:
            return " or ".join(self.show(each, indent) for each in schema["anyOf"])
        return flat

    def _flat(self, schema: Schema) -> str:
        if "$ref" in schema and _name(schema) in self.named:
            return _name(schema)
        schema = self.resolved(schema)
        if "anyOf" in schema:
            return " or ".join(self._flat(each) for each in schema["anyOf"])
        if "enum" in schema:
            return " or ".join(map(_literal, schema["enum"]))
        if "const" in schema:
            return _literal(schema["const"])
        kind = schema.get("type")
        if kind == "object" and "properties" in schema:
            return (
                "{" + ", ".join(f"{_named(n, schema)}: {self._flat(s)}" for n, s in schema["properties"].items()) + "}"
            )
        if kind == "object":
            return "{…}"
        if kind == "array":
            return f"[{self._flat(schema['items'])}]" if schema.get("items") else "[…]"
        return _scalar(schema, str(kind))


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rsplit("/", 1)[1]


def _named(name: str, schema: Schema) -> str:
    return name if name in schema.get("required", ()) else f"{name}?"


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def _scalar(schema: Schema, kind: str) -> str:
    word = _FORMATS.get(schema.get("format", ""), _WORDS.get(kind, "any"))
    least = schema.get("minLength", schema.get("minimum", 0))
    most = schema.get("maxLength", schema.get("maximum"))
    if most is None:
        return word
    return f"{word} {most}" if least == most else f"{word} {least}..{most}"


_BLOCK = re.compile(r"<!-- routes: ([^>]+?) -->\n")
_SHAPES = "<!-- shapes -->\n"
_TABLE = r"(<!-- {0} -->\n).*?(<!-- end of {0} -->)"
_WIDTH = 118


class MisplacedRoute(Exception):
    """A route is in no comment or in several, or a pattern matches no route."""


def fill(text: str, routes: Sequence[Route] = ROUTES) -> str:
    """Returns the page for the site, with its entries. ``pages.md`` lists the HTML pages. Raises MisplacedRoute."""
    routes = [route for route in routes if route.access is not Access.PAGE]
    document = openapi.build(routes)
    shapes = Shapes(document["components"]["schemas"], _used(document))
    placed: dict[str, int] = {}

    def block(found: re.Match[str]) -> str:
        patterns = [pattern.strip() for pattern in found[1].split("|")]
        chosen = [route for route in routes if any(fnmatch.fnmatchcase(_call(route), each) for each in patterns)]
        for pattern in patterns:
            if not any(fnmatch.fnmatchcase(_call(route), pattern) for route in chosen):
                raise MisplacedRoute(f"no route is like {pattern}")
        for route in chosen:
            placed[_call(route)] = placed.get(_call(route), 0) + 1
        return f"{found[0]}\n{''.join(_entries(chosen, document, shapes))}"

    made = _BLOCK.sub(block, text)
    wrong = [_call(route) for route in routes if placed.get(_call(route)) != 1]
    if wrong:
        raise MisplacedRoute(f"not in exactly one block: {', '.join(wrong)}")
    definitions = "\n".join(shapes.definition(name) for name in shapes.named)
    return made.replace(_SHAPES, f"{_SHAPES}\n```text\n{definitions}\n```\n")


def kept(text: str) -> str:
    """Returns the page for version control, with the current roles. Raises MisplacedRoute."""
    fill(text)
    return put(text, "roles", _roles())


def put(text: str, name: str, made: str) -> str:
    """Returns the page with ``made`` inserted between the comments that mark the start and end of ``name``."""
    return re.sub(_TABLE.format(name), lambda found: f"{found[1]}\n{made}\n{found[2]}", text, flags=re.DOTALL)


def _roles() -> str:
    """The table of permissions, and the roles that have each of them."""
    head = f"| permission | {' | '.join(role.value for role in Role)} |\n| --- |{' --- |' * len(Role)}\n"
    rows = (
        f"| `{permission.value}` | {' | '.join('x' if role in HOLDERS[permission] else '' for role in Role)} |\n"
        for permission in Permission
    )
    return head + "".join(rows)


def _used(document: Schema) -> Iterator[Schema]:
    """The schemas of all bodies and of all successful responses."""
    for path in document["paths"].values():
        for operation in path.values():
            for holder in (
                operation.get("requestBody", {}),
                *(of for at, of in operation["responses"].items() if at < "4"),
            ):
                schema = _content(holder)
                yield schema.get("properties", {}).get("data", schema)


def _call(route: Route) -> str:
    return f"{route.method} {route.path}"


def _entries(routes: Sequence[Route], document: Schema, shapes: Shapes) -> Iterator[str]:
    """Yields one entry per route. Operations that the client API and the admin API share have a single entry."""
    groups: dict[tuple[Any, ...], list[Route]] = {}
    for route in routes:
        groups.setdefault((route.method, route.handler), []).append(route)
    for group in groups.values():
        yield _entry(group, document, shapes)


def _entry(group: Sequence[Route], document: Schema, shapes: Shapes) -> str:
    route = group[0]
    operations = [document["paths"][each.path][each.method.lower()] for each in group]
    operation = operations[0]
    lines = ["### " + ", ".join(f"`{_call(each)}`" for each in group), "", f"{route.summary}.", ""]
    lines += textwrap.wrap(f"- Who: {_who(group)}.", _WIDTH, subsequent_indent="  ")
    codes = [
        code for answer in operation["responses"].values() for code in re.findall("`[A-Z_]+`", answer["description"])
    ]
    if codes:
        lines += textwrap.wrap(f"- Refusals: {', '.join(codes)}.", _WIDTH, subsequent_indent="  ")
    if reads := _reads(route):
        lines.append(f"- Body: {reads}.")
    if lines_of_shapes := list(_shapes(route, operation, shapes)):
        lines += ["", "```text", *lines_of_shapes, "```"]
    if described := list(_described(operation, shapes)):
        lines += ["", *described]
    return "\n".join(lines) + "\n\n"


def _who(group: Sequence[Route]) -> str:
    words = []
    for route in group:
        if route.access is Access.OPEN:
            words.append("anyone")
        elif route.access is Access.ADMIN:
            words.append("a system admin")
        elif route.permission is None:
            words.append("a signed-in user")
        else:
            words.append(f"a signed-in user with `{route.permission.value}`")
    return "; or ".join(dict.fromkeys(words))


def _reads(route: Route) -> str:
    kib = route.limit // 1024
    size = f"{kib // 1024} MiB" if kib >= 1024 and kib % 1024 == 0 else f"{kib} KiB"
    if route.streams:
        limit = "up to the limit that the operator sets" if len(route.takes) > 1 else f"{size} at most"
        return f"the bytes of the file ({', '.join(route.takes)}), {limit}"
    if route.form is not None:
        return f"`{FORM}`, {size} at most"
    return f"JSON, {size} at most" if route.body is not None or (route.raw and route.method == "POST") else ""


def _shapes(route: Route, operation: Schema, shapes: Shapes) -> Iterator[str]:
    """The lines that show the query, body, and response."""
    query = {each["name"]: each for each in operation.get("parameters", ()) if each["in"] == "query"}
    for count, (name, one) in enumerate(query.items()):
        text = f"{name}{'' if one['required'] else '?'}: {shapes.show(one['schema'], 6)}"
        yield f"{'      ' if count else 'query '}{text}"
    if body := _content(operation.get("requestBody", {})):
        yield f"body  {shapes.show(body, 6)}"
    answer = operation["responses"][str(route.status)]
    shape = _content(answer)
    data = shape.get("properties", {}).get("data") if route.enveloped and route.plain is None else shape or None
    if data is not None:
        yield f"{route.status}   {shapes.show(data, 6)}"
    elif "content" in answer:
        yield f"{route.status}   {', '.join(answer['content'])}"
    elif route.status == 302:
        yield f"{route.status}   Location: the next address of the browser"


def _content(holder: Schema) -> Schema:
    """The schema of a JSON or form body, or of a JSON response; empty if there is none."""
    content = holder.get("content", {})
    found: Schema = content.get("application/json", content.get(FORM, {})).get("schema", {})
    return found


def _described(operation: Schema, shapes: Shapes) -> Iterator[str]:
    """The descriptions of parameters and of members of the body, if the code has them."""
    for each in operation.get("parameters", ()):
        if sentence := each["schema"].get("description"):
            yield f"- `{each['name']}`: {sentence}"
    for name, schema in shapes.resolved(_content(operation.get("requestBody", {}))).get("properties", {}).items():
        if sentence := schema.get("description"):
            yield f"- `{name}`: {sentence}"


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands_page,
    "errors.md": errors_page,
    "settings.md": settings_page,
    "graphql.md": graphql_page,
    "pages.md": pages_page,
    "logs.md": log_events.page,
    "log.schema.json": log_events.schema,
    "providers/reasons.md": reasons_page,
}


#: Handwritten pages with generated parts: functions that convert the current text to the required text.
FILLED: dict[str, Callable[[str], str]] = {
    "reference/http.md": kept,
    "operations/watch.md": lambda text: put(text, "events", catalogue.table()),
}


def stale(folder: Path) -> dict[Path, str]:
    """Returns the pages of ``folder`` that are out of date, with the text that they should have."""
    made = {folder / name: make() for name, make in PAGES.items()}
    made |= {folder / name: fill((folder / name).read_text("utf-8")) for name, fill in FILLED.items()}
    return {path: text for path, text in made.items() if not path.exists() or path.read_text("utf-8") != text}


def main() -> int:
    """Writes the pages. The exit status is 1 if ``--check`` finds a page that is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    found = stale(given.folder)
    for path, text in found.items():
        if given.check:
            sys.stderr.write(f"{path} is out of date; run ./dev docs\n")
        else:
            path.write_text(text, "utf-8")
            sys.stdout.write(f"wrote {path}\n")
    return 1 if found and given.check else 0


if __name__ == "__main__":
    sys.exit(main())
