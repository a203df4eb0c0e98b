"""Reads the docs pages: code blocks, tables, and calls with curl."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from manifest_auth.sign_in.providers.kinds import KINDS
from tests.architecture import links
from tests.architecture.links import ROOT

DOCS = ROOT / "docs"
HOSTS = {"auth.example.com", "127.0.0.1:8080"}


def text_of(name: str) -> str:
    """A page below ``docs``."""
    return (DOCS / name).read_text("utf-8")


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """The code blocks of all pages with the page's name, including those in lists."""
    for page in links.pages():
        for block in re.findall(rf"^ *```{language}\n(.*?)^ *```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
            yield page.name, block


def commands(block: str) -> Iterator[str]:
    """The commands of a shell block; a line that ends in a backslash, or within quotes, continues."""
    command = ""
    for line in block.replace("\\\n", " ").splitlines():
        command += line
        try:
            shlex.split(command, comments=True)
        except ValueError:
            command += "\n"
            continue
        yield command
        command = ""
    assert not command, block


def rows(text: str) -> list[list[str]]:
    """The rows of a text's tables as their cells, including header rows."""
    found = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if re.match(r" *\|", line)]
    return [[cell.strip() for cell in row] for row in found if not set("".join(row)) <= set("- :")]


def provider_bodies() -> Iterator[tuple[str, Any]]:
    """The request bodies on the pages about providers."""
    for page, block in blocks("json"):
        body = json.loads(block)
        if KINDS.keys() & body.keys():
            yield page, body
    for page, block in blocks("sh"):
        for found in re.findall(r"/providers\b.*?-d '({.*?})'$", block, re.MULTILINE | re.DOTALL):
            yield page, json.loads(found)


class Request(NamedTuple):
    """A call to this server. ``body`` is that of ``-d``, if given there."""

    page: str
    method: str
    path: str
    body: str | None


def requests() -> Iterator[Request]:
    """All calls to this server with curl."""
    for calls, _ in exchanges():
        yield from calls


def exchanges() -> Iterator[tuple[list[Request], str]]:
    """The calls of each shell block, and the JSON block that follows them on the page, or an empty text."""
    for page in links.pages():
        variables: dict[str, str] = {}
        calls: list[Request] = []
        for language, block in re.findall(_SHELL_OR_JSON, page.read_text("utf-8")):
            if language == "json":
                yield calls, block
                calls = []
                continue
            if calls:
                yield calls, ""
            calls = [*_calls(page.name, block, variables)]
        yield calls, ""


_SHELL_OR_JSON = re.compile(r"^ *```(sh|json)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def _calls(page: str, block: str, variables: dict[str, str]) -> Iterator[Request]:
    for command in commands(block):
        if assigned := re.match(r"(\w+)=(?!\$)(\S+)", command):
            variables[assigned[1]] = assigned[2]
        if command.startswith("curl "):
            yield from _requests(page, shlex.split(_filled(command, variables), comments=True))


def _filled(command: str, variables: dict[str, str]) -> str:
    # Shell variables are uppercase; GraphQL variables are in single quotes, where the shell ignores them.
    return re.sub(_VARIABLE, lambda found: variables.get(found[1] or found[2], "1"), command)


#: A shell variable, or a part of its value.
_VARIABLE = re.compile(r"\$(?:([A-Z][A-Z_0-9]*)\b|\{([A-Z][A-Z_0-9]*)[^}]*\})")


def unexplained_variables() -> Iterator[tuple[str, str]]:
    """Variables that a shell block uses, and that its page neither sets before nor mentions in its text."""
    for page in links.pages():
        text, known = page.read_text("utf-8"), {"PWD"}  # the shell sets it
        known |= set(re.findall(r"`\$?([A-Z][A-Z_0-9]*)`", text))
        for language, block in re.findall(_SHELL_OR_JSON, text):
            for command in commands(block) if language == "sh" else ():
                used = {found[0] or found[1] for found in _VARIABLE.findall(command)}
                yield from ((page.name, name) for name in sorted(used - known))
                known |= set(re.findall(r"(?:^|\s)([A-Z][A-Z_0-9]*)=", command))


def _requests(page: str, words: list[str]) -> Iterator[Request]:
    url = next(urlsplit(word) for word in words if word.startswith(("http://", "https://")))
    data = words[words.index("-d") + 1] if "-d" in words else None
    sends = data is not None or "--data-binary" in words
    method = words[words.index("-X") + 1] if "-X" in words else "POST" if sends else "GET"
    if url.netloc in HOSTS:
        yield Request(page, method, url.path, data if data and data.startswith("{") else None)
