"""MkDocs hooks for the parts of the site that MkDocs can't generate itself.

They add pages from outside ``docs``, links between them, entries of the HTTP reference, diagrams without scripts, and
the list of files that the server serves.
"""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from manifest_auth.cli import reference

ROOT = Path(__file__).parents[2]
#: Pages from outside ``docs``, with their names on the site.
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
    "CHANGELOG.md": "changelog.md",
    "bench/README.md": "benchmarks.md",
}
DECISIONS = "decisions.md"
#: Unused parts of the theme: search in other languages, and files for crawlers.
_LEFT_OUT = ("sitemap.xml", "sitemap.xml.gz", "404.html", "search/search_index.json.gz")
_BEHIND = ("decisions/", "changelog", "tests", "benchmarks", "contributing", "glossary")
_LINK = re.compile(r"(!?\[[^\]]*\])\(([^)\s]+)\)")
_MERMAID = re.compile(r"^```mermaid\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(^```.*?^```$|(?<!\[)`(?!\])[^`\n]*`)", re.MULTILINE | re.DOTALL)  # no link's text
_MESSAGE = re.compile(r"^(\w+)\s*--?>>\s*(\w+)\s*:\s*(.*)$")
_SEARCH = 'data-md-component="search" role="dialog"'
_NESTED = re.compile(r'(<nav class="md-nav" data-md-level="[1-9]") aria-labelledby="\w+" aria-expanded="\w+"')
_MOVE = re.compile(r"^(\[\*\]|\w+)\s*-->\s*(\[\*\]|\w+)\s*(?::\s*(.*))?$")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages from outside ``docs``, the list of decisions, the search worker, and additions to the theme."""
    for source, name in OUTSIDE.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text("utf-8")))
    files.append(File.generated(config, DECISIONS, content=_decisions()))
    for name in ("iframe-worker.js", "site.css", "site.js"):
        content = (Path(__file__).parent / name).read_text("utf-8")
        files.append(File.generated(config, f"assets/{name}", content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fills in route entries, turns diagrams into tables, and adjusts links for the site. Ranks guides above background
    pages in search results, and the page of a setting's name above guides that use it."""
    if page.file.src_uri == "reference/http.md":
        markdown = reference.fill(markdown)
    if page.file.src_uri == "architecture.md":
        page.meta["hide"] = ["toc"]  # makes room for its wide picture
    behind = page.file.src_uri.startswith(_BEHIND)
    page.meta["search"] = {"boost": 0.3 if behind else 2 if page.file.src_uri == "settings.md" else 1}
    place = _place(page.file.src_uri)
    drawn = _MERMAID.sub(lambda found: _diagram(found[1]), markdown)
    parts = _CODE.split(drawn)
    parts[::2] = [_LINK.sub(lambda found: _link(found, place, page.file.src_uri), part) for part in parts[::2]]
    return "".join(parts)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Labels the search dialog, merges the landmarks of nested navigation, and replaces empty headings with cells."""
    output = output.replace(_SEARCH, f'{_SEARCH} aria-label="Search"').replace("<th></th>", "<td></td>")
    return _NESTED.sub(r'\1 role="none"', output)


@event_priority(-200)  # runs after all other plugins
def on_post_build(config: MkDocsConfig) -> None:
    """Writes ``site.json``: the files that the server can serve, and the content security policy of the pages."""
    site = Path(config.site_dir)
    for name in _LEFT_OUT:
        (site / name).unlink(missing_ok=True)
    for path in (*site.rglob("*.map"), *site.glob("assets/javascripts/lunr/**/*.js")):
        path.unlink()
    found = {path.relative_to(site).as_posix(): path.read_bytes() for path in sorted(site.rglob("*")) if path.is_file()}
    digests = {name: hashlib.sha256(data).hexdigest()[:32] for name, data in found.items() if name != "site.json"}
    pages = [data.decode() for name, data in found.items() if name.endswith(".html")]
    (site / "site.json").write_text(json.dumps({"policy": _policy(pages), "files": digests}, indent=1) + "\n", "utf-8")


def _decisions() -> str:
    """The list of all decisions, by their first lines."""
    lines = ["# Decisions", "", "What was decided, why, and at which price. Half a page each.", ""]
    for path in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        title = path.read_text("utf-8").partition("\n")[0].lstrip("# ")
        lines.append(f"- [{title}](decisions/{path.name})")
    return "\n".join(lines) + "\n"


def _place(name: str) -> str:
    """The path in the repository of a page of the site."""
    return next((source for source, page in OUTSIDE.items() if page == name), f"docs/{name}")


def _link(found: re.Match[str], place: str, name: str) -> str:
    text, target = found[1], found[2]
    if re.match(r"[a-z][a-z0-9+.-]*:", target) or target.startswith("#"):
        return found[0]
    path, _, anchor = target.partition("#")
    meant = posixpath.normpath(posixpath.join(posixpath.dirname(place), path))
    if meant == "docs/decisions":
        page = DECISIONS
    elif meant in OUTSIDE:
        page = OUTSIDE[meant]
    elif meant.startswith("docs/"):
        page = meant.removeprefix("docs/")
    else:  # a file in the repository that isn't a page
        return text[1:-1] if text == f"[`{meant}`]" else f"{text[1:-1]} (`{meant}`)"
    to = posixpath.relpath(page, posixpath.dirname(name) or ".")
    return f"{text}({to}{f'#{anchor}' if anchor else ''})"


def _diagram(source: str) -> str:
    """Turns a sequence or state diagram into a table, which needs no script and is searchable."""
    lines = [line.strip() for line in source.splitlines()]
    names = dict(re.findall(r"^participant (\w+) as (.+)$", "\n".join(lines), re.MULTILINE))
    if lines[0] == "sequenceDiagram":
        steps = [found.groups() for line in lines if (found := _MESSAGE.match(line))]
        rows = [f"| {number} | {_who(a, names)} | {_who(b, names) if a != b else ''} | {_cell(said)} |"
                for number, (a, b, said) in enumerate(steps, 1)]  # fmt: skip
        return "\n".join(("| | from | to | |", "| --- | --- | --- | --- |", *rows))
    named = dict(re.findall(r"^(\w+): (.+)$", "\n".join(lines), re.MULTILINE))
    moves = [found.groups() for line in lines if (found := _MOVE.match(line))]
    rows = [f"| {_state(a, named)} | {_state(b, named)} | {_cell(by or '')} |" for a, b, by in moves]
    return "\n".join(("| from | to | by |", "| --- | --- | --- |", *rows))


def _who(name: str, names: dict[str, str]) -> str:
    return names.get(name, name)


def _state(name: str, named: dict[str, str]) -> str:
    return "" if name == "[*]" else named.get(name, name)


def _cell(text: str) -> str:
    return text.replace("<br/>", " ").replace("|", "\\|").replace("<", "&lt;")


def _policy(pages: list[str]) -> str:
    """A content security policy that allows the site's files, and inline scripts by their hashes."""
    inline = {text for page in pages for text in re.findall(r"<script>(.*?)</script>", page, re.DOTALL)}
    hashes = sorted(base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inline)
    scripts = " ".join(f"'sha256-{value}'" for value in hashes)
    return (
        f"default-src 'none'; script-src 'self' {scripts}; worker-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; style-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
