"""``provider callbacks``: the callback addresses of all providers.

It also lists the clients that must register one after an upgrade.
"""

from __future__ import annotations

import argparse
import asyncio

from manifest_auth.cli.all_providers import AT_ONCE, all_providers
from manifest_auth.cli.command import started
from manifest_auth.cli.progress import Progress
from manifest_auth.providers import Provider
from manifest_auth.services import RequestContext, Services
from manifest_auth.sign_in.providers.kind import CallbackState
from manifest_auth.sign_in.providers.kinds import KINDS


async def show(given: argparse.Namespace) -> None:
    """Prints one line per provider: client, name, kind, address, state; then the clients that must act."""
    must: list[str] = []
    async with started() as services:
        found = await services.store.read(all_providers)
        with Progress() as progress:
            for start in range(0, len(found), AT_ONCE):
                progress("providers asked", start, len(found))
                some = found[start : start + AT_ONCE]
                lines = await asyncio.gather(*(_state(services, client, provider) for client, provider in some))
                for (client, provider), line in zip(some, lines, strict=True):
                    print(f"{client}\t{provider.name}\t{provider.kind}\t{line.address}\t{line.state}", flush=True)
                    must += [f"{provider.name} of {client}: {line.act}"] if line.act else []
    if must:
        print(f"\n{len(must)} must act:")
        for text in must:
            print(f"  {text}")
    elif found:
        print("\nNo one must act.")


async def _state(services: Services, client: str, provider: Provider) -> CallbackState:
    ctx = RequestContext(services, "command-line", "", "")
    return await KINDS[provider.kind].callback_state(ctx, client, provider)
