"""``directory vouch`` lets the operator approve a client's Microsoft directory on the command line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.commands import done_here as done
from tests.support.commands import run_here as run
from tests.support.matrix import matrix

DIRECTORY = "c0c0c0c0-1111-4111-8111-111111111111"
WHY = ("--reason", "the contract says so, and their IT was called")


def vouch(folder: Path, client: str = "acme", directory: str = DIRECTORY, *more: str) -> tuple[int, str]:
    """Exit status and output."""
    result = run(folder, "directory", "vouch", directory, "--client", client, *(more or WHY))
    return result.status, result.out or result.line


def test_the_directory_is_the_clients_after_that_and_no_other_ones(folder: Path) -> None:
    assert vouch(folder, "acme", DIRECTORY.upper()) == (0, f"Approved directory {DIRECTORY} for client acme.\n")
    assert vouch(folder) == (0, f"Approved directory {DIRECTORY} for client acme.\n")
    assert vouch(folder, "globex") == (1, "Another client of this installation has this directory")
    lines = done(folder, "audit", "export", "--client", "acme", "--output", "trail.jsonl")
    assert lines
    events = [json.loads(line) for line in (folder / "trail.jsonl").read_text().splitlines()]
    told = [event for event in events if event.get("event") == "directory_vouched"]
    assert len(told) == 2
    assert (told[0]["actor"], told[0]["subject"]) == ("system", f"directory:{DIRECTORY}")


@matrix(
    ("client", "directory", "more", "said"),
    [
        ("nobody", DIRECTORY, WHY, "no client has the identifier nobody"),
        ("acme", "contoso.example", WHY, "directory: Must be a GUID, the directory (tenant) ID"),
        ("acme", "9188040d-6c67-4c5b-b112-36a304b66dad", WHY,
         "directory: The directory of personal accounts doesn't belong to an organization"),
        ("acme", DIRECTORY, ("--reason", "short"), "reason: Must have at least 10 characters"),
        ("acme", DIRECTORY, (*WHY, "--cloud", "mars"), "--cloud: unknown cloud 'mars'"),
    ],
)  # fmt: skip
def test_what_it_rejects(folder: Path, client: str, directory: str, more: tuple[str, ...], said: str) -> None:
    assert vouch(folder, client, directory, *more) == (1, said)


def test_what_is_released_another_client_might_have(folder: Path) -> None:
    assert vouch(folder)[0] == 0
    release = ("directory", "release", DIRECTORY, "--client")
    assert done(folder, *release, "acme") == f"Released {DIRECTORY}. Client acme no longer claims it.\n"
    assert run(folder, *release, "acme").line == f"client acme doesn't claim {DIRECTORY}"
    assert vouch(folder, "globex")[0] == 0
