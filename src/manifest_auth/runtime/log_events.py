"""Every event of the log, with its levels and members.

``docs/logs.md`` and ``docs/log.schema.json`` are generated from this file. The server never reads it: tests compare
each call and each line with it.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class Member(NamedTuple):
    """A member of a log line. ``type``: as JSON Schema names it."""

    type: str
    meaning: str


class About(NamedTuple):
    """An event. ``members``: names separated by blanks; those with ``?`` are not in every line."""

    levels: str
    when: str
    members: str = ""


MEMBERS: dict[str, Member] = {
    "event": Member("string", "What happened"),
    "level": Member("string", "`debug`, `info`, `warning`, or `error`"),
    "timestamp": Member("string", "When, as RFC 3339 in UTC"),
    "node": Member("string", "Host name of the machine or pod"),
    "pid": Member("integer", "Process ID"),
    "trace_id": Member("string", "Trace ID of the request, if it has a `traceparent` header"),
    "span_id": Member("string", "Span ID of the request in that trace"),
    "exception": Member("string", "Stack trace"),
    "request_id": Member("string", "Request ID, also in the response header `X-Request-ID`"),
    "method": Member("string", "HTTP method; in `signed_in`, the sign-in method"),
    "route": Member("string", "Path pattern of the route; `(none)` if no route matches"),
    "status": Member("integer", "HTTP status"),
    "ms": Member("number", "Response time in milliseconds"),
    "caller": Member("string", "Who sent the request, such as `user:7`, `admin:1`, or `anonymous`"),
    "address": Member("string", "IP address of the caller"),
    "via": Member("string", "Service account that forwarded the address"),
    "operation": Member("string", "Name that the caller gave a GraphQL mutation"),
    "fields": Member("array", "Fields of the mutation, as the schema names them"),
    "code": Member("string", "Error code in the response"),
    "reason": Member("string", "Cause, which callers don't see"),
    "client": Member("string", "Identifier of the client"),
    "tenant": Member("integer", "Number of the client"),
    "user": Member("integer", "Number of the user"),
    "session": Member("string", "ID of the session"),
    "app": Member("string", "Client ID of the app"),
    "tries": Member("integer", "Number of attempts"),
    "gives_up": Member("boolean", "Whether this was the last attempt"),
    "again": Member("boolean", "Whether the server retries, for up to an hour"),
    "error": Member("string", "What failed"),
    "use": Member("string", "Operation that failed: `read`, `write`, or `look_up`"),
    "seconds": Member("number", "Length of the outage, or time for which the process still accepts requests"),
    "lines": Member("integer", "Number of dropped lines"),
    "hashing": Member("string", "Argon2 implementation that the process uses"),
    "key": Member("string", "Name of a stored file"),
    "row": Member("string", "Row that no secret key can decrypt"),
    "advice": Member("string", "What to do"),
    "why": Member("string", "Why browsers can't create passkeys"),
    "passkeys": Member("integer", "Number of passkeys that don't work"),
    "made_for": Member("string", "Domain that the passkeys belong to"),
    "public_url": Member("string", "Public address"),
    "ahead_ms": Member("number", "How far the clock is ahead of the database's, in milliseconds"),
    "server": Member("string", "Address of the name server"),
    "name": Member("string", "Name of the domain record"),
    "logger": Member("string", "Name of the library's logger"),
    "message": Member("string", "Text that the library logged"),
}
_ALWAYS = "event level timestamp node pid trace_id? span_id?"
_BACKGROUND = "error? exception?"

EVENTS: dict[str, About] = {
    "started": About("info", "The process started", "hashing"),
    "start_failed": About("error", "The process couldn't start", "error"),
    "draining": About("info", "The process was told to stop, and accepts requests for `seconds` more", "seconds"),
    "stopped": About("info", "The process has stopped"),
    "store_lost": About(
        "error",
        "The database stopped working. Logged once per outage, for the first operation that failed. Intermittent "
        "failures are logged once a minute",
        "use error",
    ),
    "store_back": About("warning", "The database works again", "seconds"),
    "files_lost": About("error", "The storage of uploaded files stopped working", "use error"),
    "files_back": About("warning", "The storage of uploaded files works again", "seconds"),
    "files_elsewhere": About("warning", "Soon after startup: other nodes use different storage for files", "reason"),
    "files_unusable": About("warning", "Soon after startup: the storage of uploaded files doesn't work", "error"),
    "file_left_over": About("warning", "A deleted file couldn't be removed from storage", "request_id key error"),
    "token_algorithm_ignored": About(
        "warning",
        "At startup: the setting names a different algorithm than the database. [See which one "
        "applies](operations/backup.md#hs256-or-es256)",
        "reason",
    ),
    "log_lines_dropped": About(
        "warning", "Nothing read standard error for so long that the lines just before this one were dropped", "lines"
    ),
    "request": About(
        "info",
        "A request was completed. A GraphQL mutation also has `operation` and `fields`",
        "request_id method route status ms caller address via? operation? fields?",
    ),
    "refused": About("info", "A request was rejected", "request_id method route code reason caller address"),
    "signed_in": About("info", "A user signed in", "request_id client user method address"),
    "refresh_token_reused": About(
        "warning",
        "Someone has a copy of a refresh token. The session was ended",
        "request_id client user session address",
    ),
    "internal_error": About("error", "A bug. Please report it", "request_id? method? route? code? exception"),
    "sealed_value_does_not_open": About(
        "error", "A request needs a value that no secret key can decrypt", "request_id method route row advice"
    ),
    "store_unavailable": About(
        "info", "A GraphQL field failed because the database was unavailable", "request_id route error"
    ),
    "secret_key_unreadable": About(
        "error",
        "The secret key file was replaced and can't be read. The server still uses the previous keys. Let the server's "
        "user read the file. Otherwise, this process can't decrypt what others encrypt with the new key, and the next "
        "start fails",
        "reason",
    ),
    "passkeys_off": About("info", "At startup: browsers can't create passkeys at the public address", "why"),
    "passkeys_void": About(
        "warning",
        "At startup: the existing passkeys don't work, because the public address is outside their domain",
        "passkeys made_for public_url",
    ),
    "mail_failed": About("warning", "The mail server didn't accept an email", "request_id reason again"),
    "reset_not_mailed": About(
        "info", "Someone forgot a password, and no link was sent. The response didn't reveal this", "request_id reason"
    ),
    "mail_queue_failed": About("info error", "Sending queued emails failed and will be retried", _BACKGROUND),
    "beat_failed": About(
        "error",
        "A heartbeat failed because of a bug. The process queries the database for each request, and retries",
        "exception",
    ),
    "clock_skew": About(
        "warning",
        "On PostgreSQL: this machine's clock differs from the database server's by more than 30 seconds. Correct it, "
        "preferably with NTP",
        "ahead_ms",
    ),
    "clock_set_back": About(
        "warning",
        "On premise: the clock is behind the latest time that the server recorded. This doesn't extend an expired "
        "[license](on-premise.md)",
        "reason",
    ),
    "dns_failed": About("info", "A name server didn't respond, or its response was invalid", "server name error"),
    "domain_checks_failed": About(
        "info error", "The daily check of domain records failed and will be retried", _BACKGROUND
    ),
    "provider_checks_failed": About(
        "info error", "The daily check of providers failed and will be retried", _BACKGROUND
    ),
    "provider_check_failed": About("error", "The check of one provider failed because of a bug", "exception"),
    "sweeping_failed": About("info error", "A background cleanup failed and will be retried", _BACKGROUND),
    "counting_failed": About(
        "info error", "Counting events for charts failed and will be retried", f"tenant? {_BACKGROUND}"
    ),
    "logout_notice_failed": About(
        "warning error",
        "An app wasn't told that a session ended",
        "client app tries? gives_up? reason? exception?",
    ),
    "logout_notices_failed": About(
        "info error", "Telling apps about ended sessions failed and will be retried", _BACKGROUND
    ),
    "client_deletion_unexplained": About(
        "error",
        "A client is marked as deleted, but its audit trail has no such event. The client isn't removed",
        "client reason",
    ),
    "library": About("info warning error", "A library logged a message", "logger message exception?"),
}

_PAGE = """\
# Logs

<!-- Generated from the code by `./dev docs`; a test compares it with the code.
Edit `src/manifest_auth/runtime/log_events.py` instead. -->

Look up the events of the server's log. To choose what is logged, see [Watch and repair](operations/watch.md#logs).

Each line is one JSON object. [log.schema.json](log.schema.json) is its JSON Schema. Later versions can add events and
members, so ignore those that you don't recognize.

## Events

If an event has the levels `info` and `error`, `info` means that the database is unavailable. `error` means a bug, and
the line has a stack trace.

| Event | Level | When | Members |
| --- | --- | --- | --- |
"""
_MEMBERS = """
## Members

Every line has `event`, `level`, `timestamp`, `node`, and `pid`. In the table of events, a member in parentheses isn't
in every line.

| Member | Type | Meaning |
| --- | --- | --- |
"""


def _split(members: str) -> dict[str, bool]:
    """Returns the names, and whether each line has the member."""
    return {name.rstrip("?"): not name.endswith("?") for name in members.split()}


def page() -> str:
    """Returns ``logs.md``."""
    rows = [
        f"| `{name}` | `{'`, `'.join(about.levels.split())}` | {about.when} | "
        f"{', '.join(f'`{one}`' if is_there else f'(`{one}`)' for one, is_there in _split(about.members).items())} |\n"
        for name, about in sorted(EVENTS.items())
    ]
    members = [f"| `{name}` | {member.type} | {member.meaning} |\n" for name, member in sorted(MEMBERS.items())]
    return _PAGE + "".join(rows).replace("|  |", "| |") + _MEMBERS + "".join(members)


def schema() -> str:
    """Returns ``log.schema.json``: one definition for each event."""
    types: dict[str, dict[str, Any]] = {name: {"type": member.type} for name, member in MEMBERS.items()}
    types["timestamp"]["format"] = "date-time"
    types["fields"]["items"] = {"type": "string"}

    def definition(name: str, about: About) -> dict[str, Any]:
        members = _split(f"{_ALWAYS} {about.members}")
        fixed = {"event": {"const": name}, "level": {"enum": about.levels.split()}}
        return {
            "description": about.when,
            "type": "object",
            "properties": {member: fixed.get(member, types[member]) for member in members},
            "required": [member for member, is_there in members.items() if is_there],
            "additionalProperties": False,
        }

    made = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of the log of Manifest Auth",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in sorted(EVENTS)],
        "$defs": {name: definition(name, about) for name, about in sorted(EVENTS.items())},
    }
    return json.dumps(made, indent=1) + "\n"
