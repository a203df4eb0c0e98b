"""``doctor``: prints findings, one line each; with ``--providers`` it calls every identity provider too."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator

from manifest_auth.cli.command import CommandLine, Progress, started
from manifest_auth.cli.providers import AT_ONCE, all_providers
from manifest_auth.clients.providers.diagnosis import diagnose
from manifest_auth.maintenance.doctor import Finding, examine
from manifest_auth.maintenance.doctor.storage import settings_file
from manifest_auth.providers import Provider
from manifest_auth.revisions import HEAD
from manifest_auth.runtime import settings
from manifest_auth.runtime.sealing import CannotOpen
from manifest_auth.runtime.settings import Settings
from manifest_auth.services import Services
from manifest_auth.store.migrate import find_schema

_SIGNS = {"ok": "  ok ", "note": " note", "bad": " BAD "}


def add_doctor(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``doctor``."""
    command.add_argument("--providers", action="store_true", help="call every client's identity providers too")
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
        async for finding in _providers(loaded):
            show(finding)
    return 1 if bad else 0


async def _providers(loaded: Settings) -> AsyncIterator[Finding]:
    """One finding for each enabled provider, and one for each fault."""
    async with started(loaded) as services:
        every = await services.store.read(all_providers)
        found = [(client, provider) for client, provider in every if provider.disabled_at is None]
        if not found:
            yield Finding("note", "providers: no client has one that is switched on")
        for start in range(0, len(found), AT_ONCE):
            some = found[start : start + AT_ONCE]
            for findings in await asyncio.gather(*(_one(services, client, provider) for client, provider in some)):
                for finding in findings:
                    yield finding


async def _one(services: Services, client: str, provider: Provider) -> list[Finding]:
    name = f"provider {provider.name} of {client}"
    try:
        said = [f async for f in diagnose(CommandLine(services), client, provider, by_admin=True) if f.level != "ok"]
    except CannotOpen as error:
        return [Finding("bad", f"{name}: no secret key opens {error}; run doctor without --providers")]
    advice = f"see manifest-auth provider test {provider.name} --client {client}"
    if not said:
        return [Finding("ok", f"{name}: it answers as it should")]
    return [Finding("bad" if f.level == "bad" else "note", f"{name}: {f.text.rstrip('.')}; {advice}") for f in said]
