"""Generates the entries of ``docs/reference/http.md`` from the route table, for the site of the docs.

The text around them is written by hand.

Entries follow a comment ``<!-- routes: PATTERN | … -->``, which names the routes by patterns of ``METHOD /path`` in
which ``*`` matches anything. Every route belongs to one comment. Long shapes follow ``<!-- shapes -->``.
"""

from __future__ import annotations

import fnmatch
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from manifest_auth.api.all_routes import ROUTES
from manifest_auth.cli.reference_shapes import Schema, Shapes
from manifest_auth.http import Access, Route, openapi
from manifest_auth.http.body import FORM
from manifest_auth.permissions import HOLDERS, Permission, Role

_BLOCK = re.compile(r"<!-- routes: ([^>]+?) -->\n")
_SHAPES = "<!-- shapes -->\n"
_TABLE = r"(<!-- {0} -->\n).*?(<!-- end of {0} -->)"
_WIDTH = 118


class MisplacedRoute(Exception):
    """A route is in no comment or in several, or a pattern matches no route."""


def fill(text: str, routes: Sequence[Route] = ROUTES) -> str:
    """The page as the site has it, with its entries; ``pages.md`` lists the HTML pages. Raises MisplacedRoute."""
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
    """The page as it is under version control, with today's roles. Raises MisplacedRoute."""
    fill(text)
    return put(text, "roles", _roles())


def put(text: str, name: str, made: str) -> str:
    """The page with ``made`` between the comments that say ``name`` and its end."""
    return re.sub(_TABLE.format(name), lambda found: f"{found[1]}\n{made}\n{found[2]}", text, flags=re.DOTALL)


def _roles() -> str:
    """The table of permissions and the roles that have them."""
    head = f"| permission | {' | '.join(role.value for role in Role)} |\n| --- |{' --- |' * len(Role)}\n"
    rows = (
        f"| `{permission.value}` | {' | '.join('x' if role in HOLDERS[permission] else '' for role in Role)} |\n"
        for permission in Permission
    )
    return head + "".join(rows)


def _used(document: Schema) -> Iterator[Schema]:
    """The schemas of all bodies and of all successful answers."""
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
    """One entry per route; the same operation of the client API and of the admin API has one entry."""
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
        code for answer in operation["responses"].values() for code in re.findall("`[A-Z_]+`", _description(answer))
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


def _description(response: Schema) -> str:
    return str(response["description"])


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
    """The lines that show query, body and answer."""
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
    """The schema of a body or an answer that is JSON or a form; empty where it is neither."""
    content = holder.get("content", {})
    found: Schema = content.get("application/json", content.get(FORM, {})).get("schema", {})
    return found


def _described(operation: Schema, shapes: Shapes) -> Iterator[str]:
    """Descriptions of parameters and members of the body, if the code has them."""
    for each in operation.get("parameters", ()):
        if sentence := each["schema"].get("description"):
            yield f"- `{each['name']}`: {sentence}"
    for name, schema in shapes.resolved(_content(operation.get("requestBody", {}))).get("properties", {}).items():
        if sentence := schema.get("description"):
            yield f"- `{name}`: {sentence}"
