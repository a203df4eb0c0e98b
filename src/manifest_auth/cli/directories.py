"""``directory vouch|release``: the operator confirms or removes a client's claim on a Microsoft directory."""

from __future__ import annotations

import argparse
from typing import Any

from manifest_auth.cli.command import Refused, client_named, origin_of, started
from manifest_auth.store import SystemUnit
from manifest_auth.tenants.claims import directories


def add_to(groups: Any) -> None:
    """Adds the command to the grammar."""
    group = groups.add_parser("directory", help="Microsoft directories that clients claim")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    vouch = actions.add_parser("vouch", help="confirm that a directory is a client's: its claim is valid from now on")
    vouch.add_argument("directory", help="directory (tenant) id, a GUID")
    vouch.add_argument("--client", required=True, help="identifier of the client")
    vouch.add_argument(
        "--reason", required=True, help="how you know; recorded in the audit trail (10 to 500 characters)"
    )
    vouch.add_argument("--cloud", default="", help="Microsoft cloud of a new claim (default: MANIFEST_MICROSOFT_CLOUD)")
    vouch.set_defaults(run=vouch_for)
    release = actions.add_parser("release", help="remove a client's claim on a directory")
    release.add_argument("directory", help="directory (tenant) id, a GUID")
    release.add_argument("--client", required=True, help="identifier of the client")
    release.set_defaults(run=release_of)


async def vouch_for(given: argparse.Namespace) -> None:
    """Confirms a claim, without an expiry."""
    async with started() as services:
        try:
            services.microsoft.clouds.get(given.cloud)
        except ValueError as error:
            raise Refused(f"--cloud: {error}") from None

        def work(unit: SystemUnit) -> str:
            own = unit.of(client_named(unit, given.client).id)
            claim = directories.vouch(own, origin_of(services), given.directory, given.reason, given.cloud)
            return claim.directory

        print(f"The directory {await services.store.write(work)} is {given.client}'s.")


async def release_of(given: argparse.Namespace) -> None:
    """Removes a claim. Another client may then prove the directory."""
    directory = directories.check(given.directory)
    async with started() as services:

        def work(unit: SystemUnit) -> None:
            own = unit.of(client_named(unit, given.client).id)
            if directories.find(own, directory) is None:
                raise Refused(f"client {given.client} does not claim {directory}")
            directories.release(own, origin_of(services), directory)

        await services.store.write(work)
    print(f"Client {given.client} claims {directory} no more.")
