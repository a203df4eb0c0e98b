"""Parses the command line and runs a command.

Passwords never come from arguments.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
from typing import NoReturn

from manifest_auth import __commit__, __version__
from manifest_auth.accounts import users
from manifest_auth.cli import commands
from manifest_auth.cli.command import given_path
from manifest_auth.errors import Refusal
from manifest_auth.permissions import Role
from manifest_auth.runtime.sealing import CannotOpen
from manifest_auth.runtime.settings import SettingsError, adopt
from manifest_auth.store import StoreUnavailable
from manifest_auth.store.migrate import HEAD, SchemaOlder, SchemaRefused

#: What ``--version`` prints: release, commit, and the newest schema that it knows.
VERSION = f"manifest-auth {__version__} ({__commit__}, schema {HEAD})"
ENV_FILE = "--env-file"
#: Commands with their own module in this package. A module loads all that its commands need, so it is loaded only for
#: one of them, not in servers.
_MODULES = {
    "db": "backups",
    "keys": "keys",
    "backup": "backups",
    "restore": "backups",
    "provider": "providers",
    "directory": "claims",
    "license": "licences",
    "audit": "audit_trail",
    "doctor": "doctor",
    "domain": "claims",
    "claims": "claims",
}


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """The whole grammar, or the part for ``command``."""
    top = argparse.ArgumentParser(
        prog="manifest-auth",
        description="The authentication server of the Manifest API. Settings: MANIFEST_… variables, docs/settings.md.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=VERSION)
    top.add_argument(
        ENV_FILE,
        type=given_path,
        metavar="FILE",
        help="a file of settings, one NAME=VALUE on a line; nothing in it is run",
    )
    groups = top.add_subparsers(required=True, metavar="COMMAND")

    serve = groups.add_parser("serve", help="run the server")
    serve.add_argument("--host", help="address to listen on (MANIFEST_HOST)")
    serve.add_argument("--port", type=int, help="port to listen on (MANIFEST_PORT)")
    serve.add_argument("--workers", type=int, help="number of web processes (MANIFEST_WORKERS)")
    serve.add_argument("--demo", action="store_true", help="fill an empty store with demo clients and users first")
    serve.set_defaults(run=commands.serve)

    admin = groups.add_parser("admin", help="system admins").add_subparsers(required=True, metavar="ACTION")
    create = admin.add_parser("create", help="create a system admin")
    create.add_argument("name")
    _password(create)
    create.set_defaults(run=commands.admin_create)
    commands.add_admin_commands(admin)

    client = groups.add_parser("client", help="clients").add_subparsers(required=True, metavar="ACTION")
    create = client.add_parser("create", help="create a client")
    create.add_argument("identifier", help="2 to 63 lower-case letters, digits and inner hyphens")
    create.add_argument("--name", help="full name (default: the identifier)")
    create.set_defaults(run=commands.client_create)

    user = groups.add_parser("user", help="users of a client").add_subparsers(required=True, metavar="ACTION")
    create = user.add_parser("create", help="create a user")
    create.add_argument("email")
    create.add_argument("--client", required=True, help="identifier of the client")
    roles = [role.value for role in Role]
    create.add_argument("--role", required=True, action="append", choices=roles, help="repeatable")
    for name in users.DETAILS:
        create.add_argument(f"--{name.replace('_', '-')}", default="")
    _password(create)
    create.set_defaults(run=commands.user_create)
    link = user.add_parser("link", help="print a one-time link for a user, for when e-mail does not work")
    link.add_argument("email")
    link.add_argument("--client", required=True, help="identifier of the client")
    link.set_defaults(run=commands.user_link)
    reset = user.add_parser("reset-factors", help="take a user's second factors away, and end all of the sessions")
    reset.add_argument("email")
    reset.add_argument("--client", required=True, help="identifier of the client")
    reset.add_argument("--reason", required=True, help="for the audit trail")
    reset.set_defaults(run=commands.user_reset_factors)

    change = user.add_parser("roles", help="set a user's roles; a new Admin must sign in again")
    change.add_argument("email")
    change.add_argument("--client", required=True, help="identifier of the client")
    change.add_argument(
        "--role", required=True, action="append", choices=roles, help="repeatable; other roles are removed"
    )
    change.set_defaults(run=commands.user_roles)

    commands.add_setup_code(groups)
    if command in groups.choices:
        return top
    modules = [_MODULES[command]] if command in _MODULES else _MODULES.values()
    for module in dict.fromkeys(modules):
        importlib.import_module(f"manifest_auth.cli.{module}").add_to(groups)
    return top


def _password(command: argparse.ArgumentParser) -> None:
    command.add_argument("--password-stdin", action="store_true", help="read the password from standard input")


def _is_store_error(error: Exception) -> bool:
    """Whether a database driver or SQLAlchemy raised the error; they are loaded only where used."""
    return type(error).__module__.partition(".")[0] in ("sqlite3", "asyncpg", "sqlalchemy")


def main(arguments: list[str] | None = None) -> NoReturn:
    """Runs one command. Exit status: 0 done, 1 refused, 2 wrong usage or setting, 3 an older schema."""
    words = sys.argv[1:] if arguments is None else arguments
    command = _command(words)
    given = parser(command).parse_args(words)
    try:
        if given.env_file is not None:
            adopt(str(given.env_file))
        result = given.run(given)
        if asyncio.iscoroutine(result):
            result = asyncio.run(result)
    except SettingsError as error:
        _fail(str(error), 2)
    except Refusal as refusal:
        details = "; ".join(f"{field}: {message}" for field, message in refusal.details)
        _fail(details or refusal.message, 1)
    except SchemaOlder as error:
        _fail(str(error), 3)
    except (StoreUnavailable, SchemaRefused, commands.CommandRefused) as error:
        _fail(str(error), 1)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), 1)
    except CannotOpen:
        _fail("MANIFEST_SECRET_KEY: not the key that this store was made with", 2)
    except Exception as error:
        if command == "serve" or not _is_store_error(error):
            raise  # a bug of the server, with its trace
        _fail(f"the store is not as this release left it: {str(error).splitlines()[0]}; see manifest-auth doctor", 2)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    sys.exit(result or 0)


def _command(words: list[str]) -> str | None:
    """The command among these arguments: the first one that is neither an option nor the file of ``--env-file``."""
    rest = iter(words)
    for word in rest:
        if word == ENV_FILE:
            next(rest, None)
        elif not word.startswith("-"):
            return word
    return None


def _fail(text: str, status: int) -> NoReturn:
    print(f"manifest-auth: {text}", file=sys.stderr)
    sys.exit(status)
