"""``settings``: the value of each setting, and its source, without secrets and passwords."""

from __future__ import annotations

import argparse
import os
import re

from manifest_auth.cli.command import add_json, print_result
from manifest_auth.runtime import settings
from manifest_auth.runtime.settings import ADDRESSES, PREFIX, Secret, gather, read_variables, variable

_HIDDEN = "(hidden)"
_PASSWORD = re.compile(r"(//[^:/@]*:)[^/@]+(?=@)|(password=)[^&]+")


def add_settings(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``settings``."""
    command.add_argument("--changed", action="store_true", help="only settings that differ from their default")
    add_json(command, "each: name, value, source")
    command.set_defaults(run=_show)


def _show(given: argparse.Namespace) -> None:
    loaded, defaults, found = settings.load(), settings.Settings(), gather(os.environ)
    of_file = read_variables(str(given.env_file)) if given.env_file else {}
    rows = []
    for field in loaded.__struct_fields__:
        value, source = getattr(loaded, field), "default"
        if given.changed and value == getattr(defaults, field):
            continue
        if field in found:
            name = found[field].name
            is_variable = name.startswith(PREFIX) and found[field].file is None
            source = (str(given.env_file) if name in of_file else "environment") if is_variable else found[field].place
        rows.append({"name": variable(field), "value": _plain(field, value), "source": source})
    print_result(given, rows, *(f"{row['name']}={row['value']}\t{row['source']}" for row in rows))


def _plain(field: str, value: object) -> object:
    if isinstance(value, Secret):
        return _HIDDEN if value else ""
    if field in ADDRESSES:
        return _PASSWORD.sub(lambda found: f"{found[1] or found[2]}{_HIDDEN}", str(value))
    return "" if value is None else value
