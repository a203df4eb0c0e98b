"""Commands with which the operator decides on clients' claims: ``domain``, ``directory``, and ``claims``."""

from __future__ import annotations

import argparse

from manifest_auth.cli.command import CommandRefused, add_json, print_result
from manifest_auth.cli.started import CommandLine, client_named, started
from manifest_auth.store import SystemUnit
from manifest_auth.tenants.claims import directories, domains
from manifest_auth.tenants.claims.domains import ClaimOverview, list_all_claims


def add_directory(command: argparse.ArgumentParser) -> None:
    """Adds the actions of ``directory``."""
    actions = command.add_subparsers(required=True, metavar="ACTION")
    vouch = actions.add_parser(
        "vouch", help="approve a client's claim on a directory, without a sign-in by its administrator"
    )
    vouch.add_argument("directory", help="directory (tenant) ID, a GUID")
    vouch.add_argument("--client", required=True, help="identifier of the client")
    vouch.add_argument(
        "--reason", required=True, help="how you know who owns it (10 to 500 characters); recorded in the audit trail"
    )
    vouch.add_argument(
        "--cloud", default="", help="Microsoft cloud, if the claim is new (default: MANIFEST_MICROSOFT_CLOUD)"
    )
    vouch.set_defaults(run=vouch_for)
    release = actions.add_parser("release", help="remove a client's claim on a directory")
    release.add_argument("directory", help="directory (tenant) ID, a GUID")
    release.add_argument("--client", required=True, help="identifier of the client")
    release.set_defaults(run=release_of)


async def vouch_for(given: argparse.Namespace) -> None:
    """Confirms a claim permanently."""
    async with started() as services:
        try:
            services.microsoft.clouds.get(given.cloud)
        except ValueError as error:
            raise CommandRefused(f"--cloud: {error}") from None

        def work(unit: SystemUnit) -> str:
            own = unit.of(client_named(unit, given.client).id)
            return directories.vouch(own, CommandLine(services), given.directory, given.reason, given.cloud).directory

        print(f"Approved directory {await services.store.write(work)} for client {given.client}.")


async def release_of(given: argparse.Namespace) -> None:
    """Removes a claim. Another client can then verify the directory."""
    directory = directories.check(given.directory)
    async with started() as services:

        def work(unit: SystemUnit) -> None:
            own = unit.of(client_named(unit, given.client).id)
            if directories.find(own, directory) is None:
                raise CommandRefused(f"client {given.client} doesn't claim {directory}")
            directories.release(own, CommandLine(services), directory)

        await services.store.write(work)
    print(f"Released {directory}. Client {given.client} no longer claims it.")


def add_domain(command: argparse.ArgumentParser) -> None:
    """Adds the actions of ``domain``."""
    actions = command.add_subparsers(required=True, metavar="ACTION")
    vouch = actions.add_parser("vouch", help="approve a client's claim on a domain, without a DNS record")
    vouch.add_argument("domain", help="domain in lowercase, for example acme.example")
    vouch.add_argument("--client", required=True, help="identifier of the client")
    vouch.add_argument("--reason", required=True, help="how you know who owns it; recorded in the audit trail")
    vouch.set_defaults(run=_vouch)

    release = actions.add_parser("release", help="remove a client's claim on a domain")
    release.add_argument("domain")
    release.add_argument("--client", required=True, help="identifier of the client")
    release.set_defaults(run=_release)


def add_claims(command: argparse.ArgumentParser) -> None:
    """Adds the action of ``claims``."""
    actions = command.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser(
        "list", help="list the domains and directories that clients claim, and how they were verified"
    )
    listing.add_argument("--open", action="store_true", help="only claims that aren't verified or are contested")
    add_json(listing, "each: kind, what, tenant_id, client, state, proof, contested, claimed_by, reason")
    listing.set_defaults(run=_list)


async def _vouch(given: argparse.Namespace) -> None:
    async with started() as services:

        def work(unit: SystemUnit) -> None:
            own = unit.of(client_named(unit, given.client).id)
            domains.vouch(own, CommandLine(services), given.domain, given.reason, services.random)

        await services.store.write(work)
    print(f"Approved domain {given.domain} for client {given.client}. The approval doesn't expire.")


async def _release(given: argparse.Namespace) -> None:
    async with started() as services:

        def work(unit: SystemUnit) -> None:
            tenant_id = client_named(unit, given.client).id
            if domains.find(unit.of(tenant_id), given.domain) is None:
                raise CommandRefused(f"client {given.client} doesn't claim {given.domain}")
            domains.release(unit, tenant_id, CommandLine(services), given.domain)

        await services.store.write(work)
    print(f"Released {given.domain}. Client {given.client} no longer claims it.")


async def _list(given: argparse.Namespace) -> None:
    """Prints one line for each claim."""
    async with started() as services:
        found = await services.store.read(lambda unit: list(list_all_claims(unit, to_settle=given.open)))
    print_result(given, [claim._asdict() for claim in found], *("\t".join(_columns(claim)) for claim in found))


def _columns(claim: ClaimOverview) -> tuple[str, ...]:
    contested = "contested" if claim.contested else ""
    return (claim.kind, claim.what, claim.client, claim.state, claim.proof or "", contested, claim.reason)
