"""Generates ``errors.md`` from the refusals, ``settings.md`` from the settings, and ``pages.md`` from the routes."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import msgspec
from msgspec import inspect

from manifest_auth.app import ROUTES, page_routes
from manifest_auth.errors import REFUSALS, Refusal
from manifest_auth.http import Access, Route
from manifest_auth.runtime.settings import DAY, HOUR, MINUTE, Settings, variable

_ERRORS = """\
# Errors

<!-- Made from the code by `./dev docs`; a test holds it to it. Edit `src/manifest_auth/errors.py` instead. -->

A failure of the REST API below `/api` has one shape, whatever the route and the status:

```json
{"success": false, "error": {"message": "Invalid email or password", "code": "INVALID_CREDENTIALS", "requestId": "…"}}
```

`code` is for programs and never changes its meaning; `message` is for people; `requestId` is also the header
`X-Request-ID`, and is in the server's log. `VALIDATION_ERROR` and a few others carry `details`, a list of
`{"field", "message"}`; `MFA_REQUIRED` carries `challenge` and `expiresIn`. 401 answers carry `WWW-Authenticate`, 405
`Allow`, 429 and 503 `Retry-After` in seconds.

Elsewhere a failure looks different:

- GraphQL answers `errors[]`. The `extensions` of each have `code` (`BAD_USER_INPUT` in place of `VALIDATION_ERROR`),
  `requestId` and `details`. The status can be 200, with `data` beside the errors.
- `/oauth2/*` answers as RFC 6749 says: `error`, `error_description` and `request_id`
  ([all of them](machine-callers.md#errors)).
- A page, and single sign-on in a browser, shows a page with the request ID.

| code | status | message | when |
| --- | --- | --- | --- |
"""

_SETTINGS = """\
# Settings

<!-- Made from the code by `./dev docs`; a test holds it to the code.
Edit `src/manifest_auth/runtime/settings/values.py` instead. -->

A setting is an environment variable, or a line of a TOML file whose path is in `MANIFEST_CONFIG`; there it has its
short name, like `port = 8080`. The variable wins. A setting that is wrong or that does not exist stops the start with
one line; variables that begin with `MANIFEST_AUTH_` are left alone
([why](decisions/0016-settings-in-the-environment.md)). Durations are in seconds.

`manifest-auth --env-file FILE COMMAND` reads variables from a file, the server and every other command in the same way
([why](decisions/0051-one-file-of-settings.md)). Each line is `NAME=VALUE`, empty, or a comment that begins with `#` or
`;`. The value is the rest of the line as it stands: nothing in it is run or expanded, and `$`, `&`, `;` and `#` are
characters like others. Blanks at its ends are dropped; keep them with quotes, `'…'` or `"…"`, around the whole value. A
backslash, or a quote as the first character, must stand inside quotes: `'…'`. A setting must not have one value in the
file and another in the environment. Other variables may be in the file too, such as `SSL_CERT_FILE`; those that Python
itself reads at its start (`PYTHON…`) have no effect there. `manifest-auth doctor` tells which settings of the server
that runs differ from yours.

| variable | short name | default | values | what it does |
| --- | --- | --- | --- | --- |
"""


def errors_page() -> str:
    """The text of ``errors.md``: all refusals, in the order of the closed list."""
    return _ERRORS + "".join(_error(refusal) for refusal in REFUSALS)


def settings_page() -> str:
    """The text of ``settings.md``: all settings, in the order of their class."""
    found = inspect.type_info(Settings)
    assert isinstance(found, inspect.StructType)
    plain = get_type_hints(Settings)  # msgspec sorts the values of a Literal; the original order is better
    return _SETTINGS + "".join(_setting(field, get_args(plain[field.name])) for field in found.fields)


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
        return ", ".join(f"`{value}`" for value in words if value)
    if isinstance(kind, inspect.UnionType):
        return "secret text"
    return "text"


_HEAD = """\
# Pages

<!-- Made from the code by `./dev docs`; a test holds it to it. -->

What browsers show. Programs call the routes of `/openapi.json`. All pages answer at `MANIFEST_PUBLIC_URL` alone; a
form is posted from the page that shows it. Those for users send everyone else to `/sign-in` and come back; one that
asks for a permission is not there for users who do not have it. Those for system admins have a session of their own,
and send everyone else to `/installation/sign-in`.

| route | for | what it does |
| --- | --- | --- |
"""


def pages_page() -> str:
    """The text of ``pages.md``: all pages, by address."""
    found = [route for route in (*ROUTES, *page_routes()) if route.access is Access.PAGE]
    return _HEAD + "".join(_line(route) for route in sorted(found, key=lambda route: (route.path, route.method)))


def _line(route: Route) -> str:
    return f"| `{route.method} {route.path}` | {route.audience or 'everyone'} | {route.summary} |\n"
