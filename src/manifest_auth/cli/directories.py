"""``directory vouch``: the operator's word that a Microsoft directory is a client's."""

from __future__ import annotations

import argparse
from typing import Any

from manifest_auth import settings, tenants
from manifest_auth.app import build_house, opened
from manifest_auth.claims import directories
from manifest_auth.cli.commands import Refused, origin_of
from manifest_auth.store import SystemUnit
from manifest_auth.text import check_line


def add_to(groups: Any) -> None:
    """Adds the command to the grammar."""
    group = groups.add_parser("directory", help="Microsoft directories that clients claim")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    vouch = actions.add_parser("vouch", help="say that a directory is a client's: its claim counts from now on")
    vouch.add_argument("directory", help="directory (tenant) id, a GUID")
    vouch.add_argument("--client", required=True, help="identifier of the client")
    vouch.add_argument("--reason", required=True, help="how you know; stands in the audit trail (10 to 500 characters)")
    vouch.add_argument(
        "--cloud", default="", help="Microsoft cloud, where the claim is new (default: MANIFEST_MICROSOFT_CLOUD)"
    )
    vouch.set_defaults(run=vouch_for)


async def vouch_for(given: argparse.Namespace) -> None:
    """The claim counts without end."""
    reason = check_line(given.reason, "reason", 500)
    if len(reason) < 10:
        raise Refused("--reason: must be 10 to 500 characters")
    async with opened(build_house(settings.load()), hashing=False) as house:
        try:
            house.microsoft.clouds.get(given.cloud)
        except ValueError as error:
            raise Refused(f"--cloud: {error}") from None

        def work(unit: SystemUnit) -> str:
            tenant = tenants.find(unit, given.client)
            if tenant is None:
                raise Refused(f"there is no client {given.client}")
            claim = directories.vouch(unit.of(tenant.id), origin_of(house), given.directory, reason, given.cloud)
            return claim.directory

        print(f"The directory {await house.store.write(work)} is {given.client}'s.")
