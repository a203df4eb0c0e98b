"""``python -m manifest_auth.operations.reference [--check] FOLDER``: the pages of docs that are made from the code.

``errors.md`` from the closed list of refusals, ``settings.md`` from the settings. ``--check`` writes nothing and says
which page is not as the code is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
from msgspec import inspect

from manifest_auth.errors import REFUSALS, Refusal
from manifest_auth.settings import DAY, HOUR, MINUTE, Settings, variable

_ERRORS = """\
# Errors

<!-- Made from the code by `./dev docs`; a test holds it to it. Edit `src/manifest_auth/errors.py` instead. -->

Every failure, whatever the path and the status, has one shape:

```json
{"success": false, "error": {"message": "Invalid email or password", "code": "INVALID_CREDENTIALS", "requestId": "…"}}
```

`code` is for programs and never changes its meaning; `message` is for people; `requestId` is also the header
`X-Request-ID` and stands in the server's log. `VALIDATION_ERROR` and a few others carry `details`, a list of
`{"field", "message"}`. GraphQL answers the same codes as `errors[].extensions.code`, with `BAD_USER_INPUT` in place of
`VALIDATION_ERROR`. 401 answers carry `WWW-Authenticate`, 405 `Allow`, 429 and 503 `Retry-After` in seconds.

| code | status | message | when |
| --- | --- | --- | --- |
"""

_SETTINGS = """\
# Settings

<!-- Made from the code by `./dev docs`; a test holds it to it. Edit `src/manifest_auth/settings.py` instead. -->

A setting is an environment variable, or a line of a TOML file whose path is in `MANIFEST_CONFIG`; there it has its
short name, like `port = 8080`. The variable wins. A setting that is wrong or that does not exist stops the start with
one line; variables that begin with `MANIFEST_AUTH_` are left alone
([why](decisions/0016-settings-in-the-environment.md)). Durations are in seconds.

| variable | short name | default | values | what it does |
| --- | --- | --- | --- | --- |
"""


def errors_page() -> str:
    """All refusals, in the order of the closed list."""
    return _ERRORS + "".join(_error(refusal) for refusal in REFUSALS)


def settings_page() -> str:
    """All settings, in the order of their class."""
    found = inspect.type_info(Settings)
    assert isinstance(found, inspect.StructType)
    plain = get_type_hints(Settings)  # msgspec sorts the words of a Literal; their own order says more
    return _SETTINGS + "".join(_setting(field, get_args(plain[field.name])) for field in found.fields)


PAGES: dict[str, Callable[[], str]] = {"errors.md": errors_page, "settings.md": settings_page}


def stale(folder: Path) -> list[str]:
    """The pages of ``folder`` that are not as the code is."""
    return [name for name, make in PAGES.items() if not _is(folder / name, make())]


def main() -> int:
    """Exit status 1: ``--check`` found a page that must be made anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    found = stale(given.folder)
    for name in found:
        if given.check:
            sys.stderr.write(f"{given.folder / name} is not as the code is: run ./dev docs\n")
        else:
            (given.folder / name).write_text(PAGES[name](), "utf-8")
    return 1 if found and given.check else 0


def _is(page: Path, text: str) -> bool:
    return page.exists() and page.read_text("utf-8") == text


def _error(refusal: type[Refusal]) -> str:
    return f"| `{refusal.code}` | {refusal.status} | {refusal.sentence} | {refusal.when} |\n"


def _setting(field: inspect.Field, words: tuple[Any, ...]) -> str:
    kind, sentence = field.type, ""
    while isinstance(kind, inspect.Metadata):
        sentence = sentence or (kind.extra_json_schema or {}).get("description", "")
        kind = kind.type
    return f"| `{variable(field.name)}` | `{field.name}` | {_default(field)} | {_values(kind, words)} | {sentence} |\n"


def _default(field: inspect.Field) -> str:
    value = field.default
    if value is msgspec.NODEFAULT or value is None or value == "":
        return "none"
    for unit, name in ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes")):
        if field.name.endswith("_ttl") and isinstance(value, int) and value > unit and not value % unit:
            return f"`{value}` ({value // unit} {name})"
    return f"`{value}`"


def _values(kind: Any, words: tuple[Any, ...]) -> str:
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return f"{kind.ge} to {kind.le}" if kind.le is not None else f"{kind.ge} or more"
    if isinstance(kind, inspect.LiteralType):
        return ", ".join(f"`{value}`" for value in words)
    if isinstance(kind, inspect.UnionType):
        return "secret text"
    return "text"


if __name__ == "__main__":
    sys.exit(main())
