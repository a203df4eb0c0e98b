"""The docs site at ``/docs/``, and the page at ``/docs/api``: the OpenAPI description as HTML, without scripts.

If the site wasn't built, ``/docs/`` shows that page, with a note.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import json
from collections.abc import Awaitable, Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import msgspec

from manifest_auth.errors import NotFound, Refusal
from manifest_auth.http import Access, Answer, Call, Head, Header, Route
from manifest_auth.http.answers import VARY_ENCODING, Document
from manifest_auth.http.request import FORM
from manifest_auth.services import RequestContext

FOLDER = Path(__file__).parents[1] / "api" / "site"
PATH = "/docs/"
START = "index.html"
#: The maximum number of path segments of a site file.
_DEPTH = 4
_CACHING: Header = (b"cache-control", b"public, max-age=300")
_TYPES = {
    "css": b"text/css; charset=utf-8",
    "html": b"text/html; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "json": b"application/json; charset=utf-8",
    "png": b"image/png",
    "svg": b"image/svg+xml",
}


class _Site(msgspec.Struct, frozen=True):
    """The list of files. ``policy`` is the content security policy of the pages, and ``files`` maps each name to its
    digest."""

    policy: str = ""
    files: dict[str, str] = {}


def _site() -> _Site:
    """Returns the site as it was last built, so that a running server has it immediately. It has no files if it was
    never built."""
    path = FOLDER / "site.json"
    try:
        return _built(path, path.stat().st_mtime_ns)
    except OSError:
        return _Site()


@lru_cache(maxsize=1)
def _built(path: Path, changed: int) -> _Site:
    _file.cache_clear()
    return msgspec.json.decode(path.read_bytes(), type=_Site)


@cache
def _file(path: Path) -> Document:
    return Document.of(path.read_bytes())


def is_there() -> bool:
    """Whether the program includes the site."""
    return START in _site().files


async def _show(ctx: RequestContext, call: Call[None]) -> Answer[None]:
    """Returns a file of the list that was created with the site. So no path of a request reaches the disk."""
    site = _site()
    name = "/".join(call.path.values()) or START
    digest, kind = site.files.get(name), _TYPES.get(name.rpartition(".")[2])
    if digest is None or kind is None:
        raise NotFound()
    tag = f'"{digest}"'
    headers: tuple[Header, ...] = ((b"etag", tag.encode()), _CACHING)
    if tag in call.head.line(b"if-none-match"):
        return Answer(304, b"", (*headers, VARY_ENCODING))
    found = await asyncio.to_thread(_file, FOLDER / name)
    return found.answer(call.head, ((b"content-type", kind), *headers), site.policy)


def routes(
    reference: Callable[[RequestContext, Call[None]], Awaitable[Answer[None]]],
    refused: Callable[[RequestContext, Refusal, Head], Awaitable[Answer[None]]],
) -> tuple[Route, ...]:
    """Returns the routes. ``reference`` responds instead of a start page that wasn't built. ``refused`` responds to an
    error, with a page or the envelope."""

    async def start(ctx: RequestContext, call: Call[None]) -> Answer[None]:
        return await (_show if is_there() else reference)(ctx, call)

    paths = ("/".join(f"{{part{number}}}" for number in range(depth)) for depth in range(1, _DEPTH + 1))
    handlers = {PATH: start, **{PATH + path: _show for path in paths}}
    return tuple(
        Route("GET", path, handler, Access.PAGE, "The docs site", refused=refused) for path, handler in handlers.items()
    )


_STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--accent:#0a6cbd}
@media(prefers-color-scheme:dark){:root{--accent:#6cb8f6}}
html{background:Canvas;color:CanvasText}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem;overflow-wrap:anywhere}
code,pre{font:14px/1.45 ui-monospace,monospace}
pre{background:var(--soft);padding:.75rem;white-space:pre-wrap;border-radius:.4rem}
details{border:1px solid var(--line);border-radius:.4rem;margin:.5rem 0;padding:.5rem .75rem}
summary{cursor:pointer}summary b{color:var(--accent);display:inline-block;min-width:4.5rem}
table{border-collapse:collapse;width:100%;table-layout:fixed}th:first-child{width:4rem}
td,th{border-bottom:1px solid var(--line);padding:.3rem .5rem;text-align:left}
a{color:var(--accent)}
""".strip()
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)

_NO_GUIDES = (
    "<p>This server has no guides. In a copy of the source code, run <code>./dev docs</code> to build them, or read "
    "the folder <code>docs</code>.</p>"
)


def render(document: dict[str, Any], guides: str = "") -> str:
    """Renders the page for an OpenAPI document. ``guides`` is the address of the docs site, or empty."""
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation["tags"][0], []).append(_operation(document, path, method, operation))
    order = [g for g in ("Client", "Admin", "OAuth 2.0", "SCIM 2.0", "Operations") if g in groups]
    body = "".join(f'<h2 id="{_anchor(g)}">{g}</h2>{"".join(groups[g])}' for g in order)
    links = " · ".join(f'<a href="#{_anchor(g)}">{g}</a>' for g in order)
    note = "" if guides else _NO_GUIDES
    if guides:
        links += f' · <a href="{guides}">Guides</a>'
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Manifest Auth API</title><style>{_STYLE}</style></head><body><main>"
        f'<h1>Manifest Auth API</h1><p>{links} · <a href="/openapi.json">openapi.json</a></p>{note}'
        '<p>Responses are <code>{"success": true, "data": …}</code> or '
        '<code>{"success": false, "error": {"message", "code", "requestId"}}</code>.</p>'
        f"{body}</main></body></html>"
    )


def _anchor(group: str) -> str:
    return group.lower().replace(" ", "-")


def _operation(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> str:
    parts = [
        f"<details><summary><b>{method.upper()}</b> <code>{html.escape(path)}</code> — "
        f"{html.escape(operation['summary'])}</summary>"
    ]
    keys = [name for choice in operation.get("security", []) for name in choice]
    parts.append(f"<p>Credential: {html.escape(' or '.join(keys) or 'none')}</p>")
    for parameter in operation.get("parameters", []):
        text = parameter.get("description", parameter["schema"].get("description", ""))
        parts.append(f"<p><code>{parameter['name']}</code> ({parameter['in']}) {html.escape(text)}</p>")
    body = operation.get("requestBody", {}).get("content", {})
    if files := ", ".join(kind for kind, content in body.items() if content["schema"].get("format") == "binary"):
        parts.append(f"<p>Body: the bytes of the file, with their Content-Type: {html.escape(files)}</p>")
    if kind := next((kind for kind in ("application/json", FORM) if kind in body), ""):
        schema, named = body[kind]["schema"], f": {FORM}" if kind == FORM else ""
        parts.append(f"<p>Body{named}</p><pre>{_example(document, schema)}</pre>")
    rows = ""
    for status, response in operation["responses"].items():
        rows += f"<tr><td>{status}</td><td>{html.escape(response['description'])}</td></tr>"
        schema = response.get("content", {}).get("application/json", {}).get("schema", {})
        if status.startswith("2") and schema:
            rows += f"<tr><td></td><td><pre>{_example(document, schema)}</pre></td></tr>"
    parts.append(f"<table><tr><th>Status</th><th>Meaning</th></tr>{rows}</table></details>")
    return "".join(parts)


def _example(document: dict[str, Any], schema: dict[str, Any]) -> str:
    return html.escape(json.dumps(_value(document, schema), indent=2, ensure_ascii=False))


def _value(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """Returns an example for a schema, with type names as values."""
    if "$ref" in schema:
        return _value(document, document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return _value(document, schema["anyOf"][0])
    kind = schema.get("type")
    if kind == "object":
        return {name: _value(document, of) for name, of in schema.get("properties", {}).items()}
    if kind == "array":
        return [_value(document, schema["items"])] if "items" in schema else []
    return kind or "any"
