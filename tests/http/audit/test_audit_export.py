"""``/api/client/audit/export`` returns the filtered audit trail as a file without spreadsheet formulas."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from tests.http.audit.test_audit import read
from tests.support.accounts import trail
from tests.support.application import App, Reply
from tests.support.envelope import check_refusal
from tests.support.matrix import matrix
from tests.support.people import OwnClient, member, own_client

pytestmark = pytest.mark.one_store

EXPORT, LIST = "/api/client/audit/export", "/api/client/audit"
COLUMNS = [
    "sequence",
    "at",
    "event",
    "actor",
    "subject",
    "address",
    "requestId",
    "detail",
    "hash",
    "actorEmail",
    "subjectEmail",
]


@pytest.fixture(scope="module")
async def own(app: App) -> OwnClient:
    """A client with some events, one second apart."""
    made = await own_client(app)
    for number in range(5):
        app.clock.advance(1)
        await app.sign_in(made.clerk.email, "wrong-password-here", client=made.identifier)
        await made.change(made.clerk, contact=f"Ask {number}")
    return made


async def _export(own: OwnClient, query: str, by: str = "client_admin") -> Reply:
    return await own.app.get(f"{EXPORT}?{query}", token=getattr(own, by).token)


def _lines(reply: Reply) -> list[dict[str, Any]]:
    assert reply.status == 200, reply.text
    return [json.loads(line) for line in reply.text.splitlines()]


def _rows(reply: Reply) -> list[list[str]]:
    assert reply.status == 200, reply.text
    return list(csv.reader(io.StringIO(reply.text, newline="")))


@matrix("query", ["", "order=oldest", "event=sign_in_failed", "sort=TIME&actor=anonymous"])
async def test_it_contains_the_events_of_the_list_in_order(own: OwnClient, query: str) -> None:
    parts = dict(part.split("=") for part in query.split("&") if part)
    expected = await read(own.app, LIST, own.client_admin.token, **parts)
    assert expected
    lines = _lines(await _export(own, f"format=jsonl&{query}"))
    unlisted = ("chain", "previousHash")
    if query.startswith(("event", "sort")):
        assert [{k: v for k, v in line.items() if k not in unlisted} for line in lines] == expected
    else:  # the export itself is recorded
        numbers = [line["sequence"] for line in lines]
        assert len(numbers) == len(expected) + 1
        assert numbers == sorted(numbers, reverse="oldest" not in query)
    heading, *rows = _rows(await _export(own, f"format=csv&{query}"))
    assert heading == COLUMNS
    shown = [line for line in lines if line["event"] != "audit_exported"]
    kept = [row for row in rows if row[2] != "audit_exported"]
    assert [[str(line[name]) for name in COLUMNS[:9] if name != "detail"] for line in shown] == [
        [cell.removeprefix("'") for cell in row[:7] + row[8:9]]
        for row in kept  # a request ID can start with a hyphen
    ]
    assert [line["detail"] for line in shown] == [json.loads(row[7]) for row in kept]


async def test_the_times_limit_it(own: OwnClient) -> None:
    everything = _lines(await _export(own, "format=jsonl&order=oldest"))
    middle = everything[len(everything) // 2]["at"]
    later = _lines(await _export(own, f"format=jsonl&order=oldest&from={middle}&event=client_changed"))
    assert [e["sequence"] for e in later] == [
        e["sequence"] for e in everything if e["at"] >= middle and e["event"] == "client_changed"
    ]
    assert _lines(await _export(own, f"format=jsonl&to={middle}&event=audit_exported")) == []


@matrix(("form", "kind"), [("csv", "text/csv"), ("jsonl", "application/jsonl")])
async def test_it_is_a_file_of_its_kind(own: OwnClient, form: str, kind: str) -> None:
    reply = await _export(own, f"format={form}")
    assert reply.headers["content-type"] == f"{kind}; charset=utf-8"
    assert reply.headers["content-disposition"].startswith(f'attachment; filename="audit-{own.identifier}-')
    assert reply.headers["content-disposition"].endswith(f'.{form}"')
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in reply.headers["content-security-policy"]
    assert "content-length" not in reply.headers


@matrix("start", ["=", "+", "-", "@"])
async def test_no_cell_is_a_formula(own: OwnClient, start: str) -> None:
    formula = f'{start}HYPERLINK("https://evil.example","x")'
    headers = {"X-Request-ID": f"{start}1-1"}
    failed = await own.app.sign_in(own.clerk.email, formula, client=own.identifier, headers=headers)
    number = failed.headers["x-request-id"]
    rows = _rows(await _export(own, "format=csv"))
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert (f"'{number}" if number.startswith(("=", "+", "-", "@")) else number) in cells


async def test_each_export_is_in_the_audit_trail_with_its_filters(own: OwnClient) -> None:
    await _export(own, "format=csv&event=signed_in&user=3&from=2026-01-01", by="clerk")
    event = (await trail(own.app, own.identifier))[-1]
    assert (event.event, event.actor) == ("audit_exported", f"user:{own.clerk.id}")
    assert event.members == {
        "format": "csv",
        "filters": {"event": "signed_in", "user": "user:3", "from": "2026-01-01"},
    }


@matrix(
    "query",
    ["", "format=xml", "format=", "format=csv&format=csv", "format=csv&event=nothing", "format=csv&from=yesterday",
     "format=csv&first=3", "format=csv&after=x", "format=csv&sort=TIME&order=oldest"],
)  # fmt: skip
async def test_an_invalid_filter_is_rejected_and_no_event(own: OwnClient, query: str) -> None:
    before = len(await trail(own.app, own.identifier))
    check_refusal(await _export(own, query), 400, "VALIDATION_ERROR")
    assert len(await trail(own.app, own.identifier)) == before


@matrix("role", ["Author", "Approver", "Publisher", "Operator", "Viewer"])
async def test_only_roles_with_audit_read_can_export_it(own: OwnClient, role: str) -> None:
    other = await member(own.app, own.identifier, role)
    check_refusal(await own.app.get(f"{EXPORT}?format=csv", token=other.token), 403, "FORBIDDEN")


async def test_it_contains_nothing_of_another_client(own: OwnClient) -> None:
    other = await own_client(own.app)
    reply = await own.app.get(f"{EXPORT}?format=jsonl", token=other.client_admin.token)
    assert {line["client"] for line in _lines(reply)} == {other.identifier}
    assert own.clerk.email not in reply.text


async def test_a_row_has_the_email_address_of_its_subject(own: OwnClient) -> None:
    heading, *rows = _rows(await _export(own, "format=csv&event=client_changed"))
    actor = heading.index("actorEmail")
    assert {row[actor] for row in rows} == {own.clerk.email}
    assert {row[heading.index("subjectEmail")] for row in rows} == {""}  # the client itself
