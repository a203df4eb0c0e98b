"""``provider callbacks``: the callback address of every provider, and who has to register one after an upgrade."""

from __future__ import annotations

import argparse
import asyncio
from typing import NamedTuple

from manifest_auth.app import build_services, opened
from manifest_auth.cli.every_provider import AT_ONCE, every_provider
from manifest_auth.cli.progress import Progress
from manifest_auth.protocols import oidc
from manifest_auth.providers import Provider
from manifest_auth.runtime import settings
from manifest_auth.runtime.outgoing import Unreachable
from manifest_auth.runtime.sealing import CannotOpen
from manifest_auth.services import RequestContext, Services
from manifest_auth.sign_in.providers import dynamics, saml
from manifest_auth.sign_in.providers import oidc as openid


class Line(NamedTuple):
    """What is printed of one provider. ``act``: what the client must do, or empty."""

    address: str
    state: str
    act: str = ""


async def show(given: argparse.Namespace) -> None:
    """Prints one line for each provider: client, name, kind, address, state; below them who must act."""
    must: list[str] = []
    async with opened(build_services(settings.load()), hashing=False) as services:
        found = await services.store.read(every_provider)
        with Progress() as progress:
            for start in range(0, len(found), AT_ONCE):
                progress("providers asked", start, len(found))
                some = found[start : start + AT_ONCE]
                lines = await asyncio.gather(*(_line(services, client, provider) for client, provider in some))
                for (client, provider), line in zip(some, lines, strict=True):
                    print(f"{client}\t{provider.name}\t{provider.kind}\t{line.address}\t{line.state}", flush=True)
                    must += [f"{provider.name} of {client}: {line.act}"] if line.act else []
    if must:
        print(f"\n{len(must)} must act:")
        for text in must:
            print(f"  {text}")
    elif found:
        print("\nNo one must act.")


async def _line(services: Services, client: str, provider: Provider) -> Line:
    ctx = RequestContext(services, "command-line", "", "")
    if provider.kind == "dynamics":
        return Line(dynamics.callback_of(ctx), "of its own kind")
    if provider.kind == "saml":
        return Line(saml.acs(ctx), "of its own kind")
    if provider.kind != "oidc":
        return Line("-", "needs none")
    addresses = openid.callbacks_of(ctx, client, provider)
    try:
        registration = openid.registration_of(ctx, provider)
        callback, state = await services.oidc.callback(registration, addresses, services.random, provider.tenant_id)
    except (Unreachable, oidc.Refused, CannotOpen) as error:
        unsure = f"; if it announces no iss, register {addresses.own}" if addresses.shared else ""
        return Line(addresses.own, f"unknown: {error}{unsure}")
    return _judged(addresses, callback, state)


def _judged(addresses: oidc.CallbackAddresses, callback: oidc.Callback, found: oidc.CallbackState) -> Line:
    address = callback.redirect_uri
    which = "shared" if address == addresses.shared else "own"
    line = Line(address, f"{which}, {found.state}" + (f": {found.why}" if found.why else ""))
    if found.state == "registered":
        return line
    announces = "the provider announces no iss, so it no longer has the shared address; "
    if addresses.shared is not None and which == "own":
        return line._replace(act=f"{announces}register {address}")
    return line._replace(act=f"register {address}") if found.state == "not registered" else line
