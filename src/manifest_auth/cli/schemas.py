"""``manifest-auth db upgrade|status``: upgrades the schema, and says how far an upgrade of all nodes is."""

from __future__ import annotations

import argparse
from typing import Any

import orjson

from manifest_auth.cli.command import CommandRefused, Progress
from manifest_auth.maintenance import upgrade_state
from manifest_auth.runtime import settings
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.sealing import SecretKeys, keys_of_a_start
from manifest_auth.store.migrate import is_new, upgrade

_STATUS = {"current": 0, "rolling": 0, "refused": 1, "stop": 3}


def add_to(groups: Any) -> None:
    """Adds the commands to the grammar."""
    group = groups.add_parser("db", help="the store").add_subparsers(required=True, metavar="ACTION")
    group.add_parser("upgrade", help="upgrade the schema").set_defaults(run=_upgrade)
    status = group.add_parser(
        "status",
        help="say whether nodes may be replaced by this release one by one",
        description="Prints schema, processes, and a word. Exit status: 0 current or rolling, 1 refused, 3 stop.",
    )
    status.add_argument("--json", action="store_true", help="print the result as JSON")
    status.set_defaults(run=_status)


async def _upgrade(_given: argparse.Namespace) -> None:
    """Brings the schema up to date."""
    loaded = settings.load()

    def keys() -> SecretKeys:
        return keys_of_a_start(loaded, Random(), lambda: is_new(loaded.database))

    with Progress() as progress:
        done = await upgrade(loaded.database_direct, keys, progress)
    print("The schema was upgraded." if done else "The schema is up to date.")


async def _status(given: argparse.Namespace) -> int:
    """Exit status as :data:`_STATUS`."""
    found = await upgrade_state.read(settings.load())
    if found is None:
        raise CommandRefused("there is no store here: see MANIFEST_DATABASE_URL and MANIFEST_DATA_DIR")
    if given.json:
        text = {
            "schema": found.schema.number,
            "readable_by": found.schema.readable_by,
            "processes": [some._asdict() for some in found.processes],
            "state": found.word,
        }
        print(orjson.dumps(text, option=orjson.OPT_INDENT_2).decode())
        return _STATUS[found.word]
    print(f"schema       {found.schema.number}, for programs of {found.schema.readable_by} and newer")
    for some in found.processes:
        print(f"processes    {some.running} of {some.version} (schema {some.schema})")
    print(found.told)
    return _STATUS[found.word]
