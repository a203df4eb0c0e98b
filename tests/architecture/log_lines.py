"""Compares each line that a server of this run logs with ``docs/log.schema.json``.

Lines of an application in this process are compared when they are written, and those of other processes when they end.
Lines with the same event, level, and member types are checked once. Mismatches fail at the end of the module.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from manifest_auth.runtime import log_events, logs
from tests.support.programs import Program

_seen: set[Any] = set()
_wrong: list[str] = []


def check(text: str) -> None:
    """Record the schema's errors for a line."""
    line = json.loads(text)
    shape = (line.get("event"), line.get("level"), tuple(sorted((name, type(value)) for name, value in line.items())))
    if shape in _seen:
        return
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    schema = json.loads(log_events.schema())
    wanted = (
        {"$ref": f"#/$defs/{line['event']}"} if line.get("event") in log_events.EVENTS else {"oneOf": schema["oneOf"]}
    )
    errors = [error.message for error in Draft202012Validator({**wanted, "$defs": schema["$defs"]}).iter_errors(line)]
    _wrong.extend(f"{text}: {error}" for error in errors)
    _seen.add(shape)


@pytest.fixture(scope="module", autouse=True)
def _lines_are_described() -> Iterator[None]:
    yield
    found = _wrong.copy()
    _wrong.clear()
    assert found == []


def pytest_configure(config: pytest.Config) -> None:
    render, wait = logs._dumps, Program.wait

    def checked(event: Any, **options: Any) -> bytes:
        line = render(event, **options)
        check(line.decode())
        return line

    def waited(self: Program, seconds: float = 60) -> int:
        status = wait(self, seconds)
        if self.errors.exists():
            for line in self.errors.read_text(errors="replace").splitlines():
                if line.startswith("{") and line.endswith("}") and '"timestamp":' in line and '"level":' in line:
                    check(line)
        return status

    logs._dumps, Program.wait = checked, waited  # type: ignore[method-assign]
