"""``manifest-auth setup-code``, and the message of ``serve`` while there is no system admin."""

from __future__ import annotations

import argparse
from typing import Any

from manifest_auth.accounts.admins import console
from manifest_auth.accounts.admins import setup_code as accounts
from manifest_auth.cli.command import Refused, origin_of, started
from manifest_auth.runtime import settings
from manifest_auth.runtime.settings import Settings
from manifest_auth.services import Services
from manifest_auth.sign_in import first_run
from manifest_auth.sign_in.first_run import SetupCode
from manifest_auth.text.canonical import when

_NONE_YET = "No system admin exists yet."
_OTHERWISE = "Or on this machine: manifest-auth admin create NAME."


def add_to(groups: Any) -> None:
    """Adds the command to the grammar."""
    command = groups.add_parser("setup-code", help="print a code for creating the first system admin in a browser")
    command.set_defaults(run=_setup_code)


async def _setup_code(_given: argparse.Namespace) -> None:
    loaded = settings.load()
    if not console.is_served(loaded):
        raise Refused(f"pages of the installation need https, or a loopback address: {_OTHERWISE}")
    async with started(loaded) as services:
        print(_text(loaded, await first_run.new_code(services, origin_of(services))))


async def at_start(services: Services, *, on_terminal: bool) -> str | None:
    """The message of a start; None without a message. It has a code ``on_terminal`` only: whatever else reads standard
    error, as a journal does, keeps it for others."""
    if not console.is_served(services.settings) or not await services.store.read(accounts.is_needed):
        return None
    if on_terminal and (code := await first_run.at_start(services)):
        return f"{_NONE_YET} {_text(services.settings, code)}"
    return f"{_NONE_YET} manifest-auth setup-code prints a code for {_page(services.settings)}. {_OTHERWISE}"


def _page(loaded: Settings) -> str:
    return f"{loaded.public_url.rstrip('/')}{console.PATH}/setup"


def _text(loaded: Settings, code: SetupCode) -> str:
    page, end = _page(loaded), f"{when(code.ends_at)[11:16]} UTC"
    if code.code is None:
        return (
            f"The setup code that was printed before is valid until {end} at {page}; "
            f"manifest-auth setup-code prints a new one. {_OTHERWISE}"
        )
    return f"Make the first one at {page} with this setup code, valid until {end}:\n\n    {code.code}\n\n{_OTHERWISE}"
