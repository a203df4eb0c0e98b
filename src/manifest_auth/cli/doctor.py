"""``doctor``: prints findings, one line each; with ``--providers`` it calls every identity provider too."""

from __future__ import annotations

import argparse

from manifest_auth.cli.command import Progress, add_json, print_result
from manifest_auth.maintenance.doctor import Finding, examine
from manifest_auth.maintenance.doctor.storage import settings_file
from manifest_auth.runtime import settings
from manifest_auth.runtime.revisions import HEAD
from manifest_auth.store.migrate import find_schema

_SIGNS = {"ok": "  ok ", "note": " note", "bad": " BAD "}


def add_doctor(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``doctor``."""
    command.add_argument("--providers", action="store_true", help="also call the identity providers of all clients")
    add_json(command, "ok, findings (level, text)")
    command.set_defaults(run=_doctor)


async def _doctor(given: argparse.Namespace) -> int:
    """Prints the findings. The exit status is 1 if one of them is bad."""
    loaded = settings.load()
    findings: list[Finding] = []

    def show(finding: Finding) -> None:
        findings.append(finding)
        if not given.json:
            print(f"{_SIGNS[finding.level]}  {finding.text}", flush=True)

    for level, text in settings_file(given.env_file) if given.env_file else ():
        show(Finding(level, text))
    with Progress() as progress:
        async for finding in examine(loaded, progress):
            show(finding)
    if (
        given.providers
        and _is_good(findings)
        and (found := await find_schema(loaded.database))
        and found.number >= HEAD
    ):
        from manifest_auth.cli.doctor_providers import call_all  # the other checks need no services

        async for finding in call_all(loaded):
            show(finding)
    if given.json:
        print_result(given, {"ok": _is_good(findings), "findings": [finding._asdict() for finding in findings]})
    return 0 if _is_good(findings) else 1


def _is_good(findings: list[Finding]) -> bool:
    return all(finding.level != "bad" for finding in findings)
