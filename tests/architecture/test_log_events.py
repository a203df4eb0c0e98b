"""Each call of the logger uses an event from ``runtime/log_events.py``, with its level and members."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import manifest_auth
from manifest_auth.runtime.log_events import EVENTS, MEMBERS

_LEVELS = ("debug", "info", "warning", "error", "exception")
#: Logged by ``runtime/logs.py`` and, through the standard library's logging, by ``runtime/sealing.py``.
_OTHERWISE = {"library", "log_lines_dropped", "secret_key_unreadable"}


def calls() -> Iterator[tuple[str, str, set[str]]]:
    """Event, level, and members that the call names itself."""
    for path in Path(manifest_auth.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LEVELS):
                continue
            if not (isinstance(to := node.func.value, ast.Attribute | ast.Name) and node.args):
                continue
            if (to.attr if isinstance(to, ast.Attribute) else to.id) not in ("log", "_log"):
                continue
            first, members = node.args[0], {keyword.arg for keyword in node.keywords if keyword.arg}
            raised = {"exception"} if node.func.attr == "exception" or "exc_info" in members else set()
            level = "error" if node.func.attr == "exception" else node.func.attr
            text = [str(part.value) for part in getattr(first, "values", [first]) if isinstance(part, ast.Constant)]
            names = text if isinstance(first, ast.Constant) else [f"{what}{text[0]}" for what in ("store", "files")]
            yield from ((name, level, (members - {"exc_info"}) | raised) for name in names)


def test_every_call_is_as_the_registry_has_it() -> None:
    found = list(calls())
    wrong = [
        (event, level, members)
        for event, level, members in found
        if event not in EVENTS
        or level not in EVENTS[event].levels.split()
        or not members <= {name.rstrip("?") for name in EVENTS[event].members.split()}
    ]
    assert wrong == []
    assert {event for event, _, _ in found} | _OTHERWISE == set(EVENTS)
    named = {name.rstrip("?") for about in EVENTS.values() for name in about.members.split()}
    assert set(MEMBERS) == named | {"event", "level", "timestamp", "node", "pid", "trace_id", "span_id"} | {"exception"}
