"""``doctor``: prints findings, one line each; with ``--providers`` it calls every identity provider too."""

from __future__ import annotations

import argparse

from manifest_auth.cli.command import Progress
from manifest_auth.maintenance.doctor import Finding, examine
from manifest_auth.maintenance.doctor.storage import settings_file
from manifest_auth.runtime import settings
from manifest_auth.runtime.revisions import HEAD
from manifest_auth.store.migrate import find_schema

_SIGNS = {"ok": "  ok ", "note": " note", "bad": " BAD "}


def add_doctor(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``doctor``."""
    command.add_argument("--providers", action="store_true", help="also call the identity providers of all clients")
    command.set_defaults(run=_doctor)


async def _doctor(given: argparse.Namespace) -> int:
    """Prints the findings. Exit status 1 when something is bad."""
    loaded = settings.load()
    bad = False

    def show(finding: Finding) -> None:
        nonlocal bad
        bad = bad or finding.level == "bad"
        print(f"{_SIGNS[finding.level]}  {finding.text}", flush=True)

    for level, text in settings_file(given.env_file) if given.env_file else ():
        show(Finding(level, text))
    with Progress() as progress:
        async for finding in examine(loaded, progress):
            show(finding)
    if given.providers and not bad and (found := await find_schema(loaded.database)) and found.number >= HEAD:
        from manifest_auth.cli.doctor_providers import call_all  # the other checks need no services

        async for finding in call_all(loaded):
            show(finding)
    return 1 if bad else 0
