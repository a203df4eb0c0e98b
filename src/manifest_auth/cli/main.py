"""Parses the command line and runs a command.

Passwords never come from arguments.
"""

from __future__ import annotations

import argparse
import gc
import os
import pkgutil
import signal
import sys
from collections.abc import Coroutine
from typing import NoReturn

from manifest_auth import __commit__, __version__
from manifest_auth.cli.arguments import given_path
from manifest_auth.errors import Refusal
from manifest_auth.runtime.revisions import HEAD
from manifest_auth.runtime.settings import CONFIG, SettingsError, adopt

#: The output of ``--version``: release, commit, and the newest schema that this program knows.
VERSION = f"manifest-auth {__version__} ({__commit__}, schema {HEAD})"
#: Each command, with the function of this package that adds its arguments, and its help. A module loads everything that
#: its commands need, so it is loaded only for one of them.
COMMANDS = {
    "serve": ("serving:add_serve", "run the server"),
    "demo": ("serving:add_demo", "try the server with demo data"),
    "admin": ("commands:add_admin", "manage system admins"),
    "client": ("emergency:add_client", "manage clients"),
    "user": ("emergency:add_user", "manage users of a client"),
    "service-account": ("emergency:add_service_account", "list and stop service accounts of a client"),
    "setup-code": ("commands:add_setup_code", "print a code for creating the first system admin in a browser"),
    "db": ("backups:add_db", "check and upgrade the schema of the database"),
    "backup": ("backups:add_backup", "back up the installation to one file while the server runs (SQLite)"),
    "restore": (
        "backups:add_restore",
        "restore a backup into an empty installation, and verify that it is complete",
    ),
    "keys": ("keys:add_keys", "manage signing keys and the secret key"),
    "provider": ("providers:add_provider", "manage identity providers of a client"),
    "directory": ("claims:add_directory", "approve or release Microsoft directories that clients claim"),
    "domain": ("claims:add_domain", "approve or release email domains that clients claim"),
    "claims": ("claims:add_claims", "list the domains and directories that clients claim"),
    "license": ("licences:add_license", "manage on-premise licenses"),
    "audit": ("audit_trail:add_audit", "verify or export the audit trail"),
    "settings": (
        "settings_shown:add_settings",
        "print every setting and where its value comes from; secrets are hidden",
    ),
    "doctor": ("doctor:add_doctor", "check settings, the database, and keys, and print how to fix problems"),
}


def everywhere() -> argparse.ArgumentParser:
    """The options of all commands. They can be placed before the command, after it, or among its arguments."""
    options = argparse.ArgumentParser(prog="manifest-auth", add_help=False, allow_abbrev=False)
    options.add_argument(
        "--env-file",
        type=given_path,
        metavar="FILE",
        help="read settings from this file, one NAME=VALUE per line; nothing in it is executed",
    )
    options.add_argument(
        "--config", type=given_path, metavar="FILE", help="read settings from this TOML file (MANIFEST_CONFIG)"
    )
    return options


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """The whole grammar, or the arguments of ``command`` and the names of the other commands."""
    top = argparse.ArgumentParser(
        prog="manifest-auth",
        description="Authentication server of the Manifest API. Settings are MANIFEST_… variables, see "
        "docs/settings.md. --env-file and --config work before and after COMMAND.",
        epilog="Exit status: 0 done; 1 refused, or a problem was found; 2 wrong usage or setting; 3 an older schema; "
        "130 interrupted.",
        allow_abbrev=False,
        parents=[everywhere()],
    )
    top.add_argument("--version", action="version", version=VERSION)
    groups = top.add_subparsers(required=True, metavar="COMMAND")
    for name, (function, says) in COMMANDS.items():
        added = groups.add_parser(name, help=says)
        if command is None or command == name:
            pkgutil.resolve_name(f"manifest_auth.cli.{function}")(added)
    _describe(top)
    return top


def _describe(grammar: argparse.ArgumentParser) -> None:
    """Adds to the help of each command what it does, and the options of all commands."""
    for group in (each for each in grammar._actions if isinstance(each, argparse._SubParsersAction)):
        for said in group._choices_actions:
            one = group.choices[said.dest]
            text = said.help or ""
            one.description = one.description or f"{text[:1].upper()}{text[1:]}."
            one.epilog = "All commands also have --env-file FILE and --config FILE: see manifest-auth --help."
            _describe(one)


def _is_store_error(error: Exception) -> bool:
    """Whether a database driver or SQLAlchemy raised the error. They are loaded only when used."""
    return type(error).__module__.partition(".")[0] in ("sqlite3", "asyncpg", "sqlalchemy")


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs one command. The exit status is 0 for success, 1 for a rejection, 2 for wrong usage or settings, and 3 for
    an older schema."""
    words = sys.argv[1:] if arguments is None else arguments
    # loaded modules live as long as the process, and scanning them takes a sixth of the time of a short command
    gc.disable()
    files, words = everywhere().parse_known_args(words)
    command = next((word for word in words if not word.startswith("-")), "")
    given = parser(command).parse_args(words, files)
    gc.freeze()
    gc.enable()
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:  # of ``__main__``
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if given.env_file is not None:
            adopt(str(given.env_file))
        if given.config is not None:
            os.environ[CONFIG] = str(given.config)  # web processes read their settings from the environment
        result = given.run(given)
        if isinstance(result, Coroutine):
            import asyncio  # not needed for --help

            result = asyncio.run(result)
        sys.stdout.flush()
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except BrokenPipeError:  # the reader of the output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes it again at the end
        sys.exit(128 + signal.SIGPIPE)
    except Exception as error:
        if (known := _explained(error, command)) is None:
            raise  # a bug, so show its stack trace
        _fail(*known)
    sys.exit(result or 0)


def _explained(error: Exception, command: str) -> tuple[str, int] | None:
    """Returns the text to print for an error, and the exit status. Loads the modules that raise such errors."""
    from manifest_auth.cli.command import CommandRefused
    from manifest_auth.runtime.sealing import CannotOpen
    from manifest_auth.store import StoreUnavailable
    from manifest_auth.store.migrate import SchemaOlder, SchemaRefused

    if isinstance(error, SettingsError):
        return str(error), 2
    if isinstance(error, Refusal):
        return "; ".join(f"{field}: {message}" for field, message in error.details) or error.message, 1
    if isinstance(error, SchemaOlder):
        return str(error), 3
    if isinstance(error, StoreUnavailable | SchemaRefused | CommandRefused):
        return str(error), 1
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error), 1
    if isinstance(error, CannotOpen):
        return "MANIFEST_SECRET_KEY: not the key that this database was created with", 2
    if command not in ("serve", "demo") and _is_store_error(error):
        says = f"unexpected database schema: {str(error).splitlines()[0]}; run manifest-auth doctor"
        return says, 2
    return None


def _fail(text: str, status: int) -> NoReturn:
    print(f"manifest-auth: {text}", file=sys.stderr)
    sys.exit(status)
