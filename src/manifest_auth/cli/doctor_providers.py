"""Calls every client's identity providers, for ``doctor --providers``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from manifest_auth.cli.providers import AT_ONCE, all_providers
from manifest_auth.cli.started import CommandLine, started
from manifest_auth.clients.providers.diagnosis import diagnose
from manifest_auth.maintenance.doctor import Finding
from manifest_auth.providers import Provider
from manifest_auth.runtime.sealing import CannotOpen
from manifest_auth.runtime.settings import Settings
from manifest_auth.services import Services


async def call_all(loaded: Settings) -> AsyncIterator[Finding]:
    """Yields one finding for each enabled provider, and one for each problem."""
    async with started(loaded) as services:
        every = await services.store.read(all_providers)
        found = [(client, provider) for client, provider in every if provider.disabled_at is None]
        if not found:
            yield Finding("note", "providers: no client has turned one on")
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
        return [Finding("bad", f"{name}: no secret key decrypts {error}; run doctor without --providers")]
    advice = f"run manifest-auth provider test {provider.name} --client {client}"
    if not said:
        return [Finding("ok", f"{name}: responds as expected")]
    return [Finding("bad" if f.level == "bad" else "note", f"{name}: {f.text.rstrip('.')}; {advice}") for f in said]
