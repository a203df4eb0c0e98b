"""``provider create|list|test|callbacks``: identity providers from the command line, by the server's own operations."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec

from manifest_auth import providers, tenants
from manifest_auth.cli.arguments import given_path
from manifest_auth.cli.command import CommandRefused, Progress, add_json, print_result
from manifest_auth.cli.started import CommandLine, client_named, started
from manifest_auth.clients.providers.changes import ProviderBody, prepare, provider_data
from manifest_auth.clients.providers.diagnosis import diagnose
from manifest_auth.http import parse
from manifest_auth.permissions import Role
from manifest_auth.providers import Provider
from manifest_auth.sign_in.providers import oidc
from manifest_auth.sign_in.providers.kinds import KINDS
from manifest_auth.store import SystemUnit
from manifest_auth.text.models import convert

_OUTPUT = Path()  # ``--json`` without a file
AT_ONCE = 8  # the maximum number of providers that a command calls at the same time
_PAGE = 200


def all_providers(unit: SystemUnit) -> list[tuple[str, Provider]]:
    """The identifiers of the client and the provider, by client."""
    found: list[tuple[str, Provider]] = []
    after = 0
    while clients := tenants.list_page(unit, after, _PAGE):
        after = clients[-1].id
        for client in clients:
            found += [(client.identifier, provider) for provider in providers.list_all(unit.of(client.id))]
    return found


async def show_callbacks(given: argparse.Namespace) -> None:
    """Prints one line per provider (client, name, kind, address, state), and then the clients that must act."""
    must: list[str] = []
    rows: list[dict[str, str]] = []
    async with started() as services:
        found = await services.store.read(all_providers)
        with Progress() as progress:
            for start in range(0, len(found), AT_ONCE):
                progress("checking providers", start, len(found))
                some = found[start : start + AT_ONCE]
                asking = (KINDS[one.kind].callback_state(CommandLine(services), client, one) for client, one in some)
                lines = await asyncio.gather(*asking)
                for (client, provider), line in zip(some, lines, strict=True):
                    row = {"client": client, "name": provider.name, "kind": provider.kind}
                    rows.append({**row, "address": line.address, "state": line.state, "action": line.act})
                    must += [f"  {provider.name} of {client}: {line.act}"] if line.act else []
    shown = ["\t".join([*row.values()][:-1]) for row in rows]
    if must:
        shown += ["", f"Action required: {len(must)}", *must]
    elif found:
        shown += ["", "No action required."]
    print_result(given, rows, *shown)


def add_provider(command: argparse.ArgumentParser) -> None:
    """Adds the actions of ``provider``."""
    actions = command.add_subparsers(required=True, metavar="ACTION")

    create = actions.add_parser(
        "create",
        aliases=["add"],
        help="create an OpenID provider (--issuer, --client-id), a SAML provider (--metadata), or any kind (--file)",
    )
    create.add_argument(
        "name",
        help="name in URLs: lowercase letters, digits, dots, hyphens, and underscores (only letters and digits first "
        "and last)",
    )
    create.add_argument("--client", required=True, help="identifier of the client")
    create.add_argument("--display-name", help="the name that users see (default: the name)")
    create.add_argument("--issuer", help="OpenID: the issuer, exactly as in the provider's metadata")
    create.add_argument("--client-id", help="OpenID: the client ID of this server at the provider")
    create.add_argument("--client-secret-stdin", action="store_true", help="read the client secret from standard input")
    create.add_argument("--group-claim", help="OpenID: the claim that contains the groups (default: groups)")
    create.add_argument(
        "--metadata", metavar="FILE", help="SAML: file with the provider's metadata; - for standard input"
    )
    create.add_argument(
        "--file",
        metavar="FILE",
        type=given_path,
        help="any kind: a JSON file with all settings, as described in docs/providers",
    )
    create.add_argument(
        "--json",
        metavar="FILE",
        type=given_path,
        nargs="?",
        const=_OUTPUT,
        help="print the result as JSON (the provider's members in the API); with FILE: the same as --file FILE",
    )
    create.add_argument(
        "--domain", action="append", default=[], help="email domain whose addresses the provider confirms (repeatable)"
    )
    create.add_argument(
        "--vouch", action="store_true", help="approve its domains without verification, because you know who owns them"
    )
    create.add_argument("--create-users", action="store_true", help="create accounts for new users")
    create.add_argument(
        "--group-role", action="append", default=[], metavar="GROUP=ROLE", help="role of a group (repeatable)"
    )
    roles = [role.value for role in Role]
    create.add_argument(
        "--default-role", action="append", default=[], choices=roles, help="role of all users (repeatable)"
    )
    create.add_argument(
        "--return-address",
        action="append",
        default=[],
        help="exact redirect URI that a sign-in can return to (repeatable)",
    )
    create.add_argument("--print-callback", action="store_true", help="OpenID: only print the redirect URI to register")
    create.set_defaults(run=add)

    show = actions.add_parser("list", help="list a client's providers")
    show.add_argument("--client", required=True, help="identifier of the client")
    add_json(show, "each: name, kind, state, issuer")
    show.set_defaults(run=show_all)

    test = actions.add_parser("test", help="test a provider and print problems")
    test.add_argument("name")
    test.add_argument("--client", required=True, help="identifier of the client")
    add_json(test, "each: level, text")
    test.set_defaults(run=test_provider)

    every = actions.add_parser(
        "callbacks", help="show the redirect URIs of all providers, and which ones must be registered"
    )
    add_json(every, "each: client, name, kind, address, state, action")
    every.set_defaults(run=show_callbacks)


async def add(given: argparse.Namespace) -> None:
    """Adds a provider and prints what to configure there, or only prints its future callback address."""
    if given.json not in (None, _OUTPUT):  # the name of this option in 0.1.0
        given.file, given.json = given.json, None
    if given.print_callback:
        await _print_callback(given)
        return
    body = convert({**_body(given), **({"vouch": True} if given.vouch else {})}, ProviderBody)
    async with started() as services:
        ctx = CommandLine(services)
        make = await prepare(ctx, given.client, body)

        def work(unit: SystemUnit) -> tuple[str, Provider]:
            tenant = client_named(unit, given.client)
            return tenant.identifier, make(unit.of(tenant.id))

        made = msgspec.to_builtins(provider_data(ctx, *await services.store.write(work)))
    there = {name: value for name, value in made["serviceProvider"].items() if isinstance(value, str)}
    lines = [f"Created provider {given.name} (number {made['id']}).{' Enter these values there:' if there else ''}"]
    lines += [f"  {name}: {value}" for name, value in there.items()]
    if "startUrl" in made:
        lines += [f"Users sign in at {made['startUrl']}"]
    print_result(given, made, *lines)


async def _print_callback(given: argparse.Namespace) -> None:
    """Prints the callback address. It depends only on names, so it is known before the provider exists."""
    if given.metadata or (given.file and "oidc" not in _from_file(given)):
        raise CommandRefused("--print-callback: only OpenID providers have their own redirect URI")
    providers.check_provider_name(given.name)
    async with started() as services:
        tenant = await services.store.read(lambda unit: client_named(unit, given.client))
        address = oidc.own_callback(CommandLine(services), tenant.identifier, given.name)
    print_result(given, {"callbackUrl": address}, address)


async def show_all(given: argparse.Namespace) -> None:
    """Prints one line for each provider."""
    async with started() as services:
        found = await services.store.read(lambda unit: providers.list_all(unit.of(client_named(unit, given.client).id)))
    rows = [
        {"name": one.name, "kind": one.kind, "state": "off" if one.disabled_at else "on", "issuer": one.issuer}
        for one in found
    ]
    print_result(given, rows, *("\t".join(row.values()) for row in rows))


async def test_provider(given: argparse.Namespace) -> int:
    """Prints the findings. The exit status is 1 if one of them is bad."""
    bad, findings = False, list[dict[str, str]]()
    async with started() as services:

        def work(unit: SystemUnit) -> tuple[str, Provider]:
            tenant = client_named(unit, given.client)
            found = providers.find(unit.of(tenant.id), given.name)
            if found is None:
                raise CommandRefused(f"client {given.client} has no provider {given.name}")
            return tenant.identifier, found

        client, provider = await services.store.read(work)
        async for finding in diagnose(CommandLine(services), client, provider, by_admin=True):
            bad = bad or finding.level == "bad"
            if given.json:
                findings.append({"level": finding.level, "text": finding.text})
                continue
            sign = {"ok": "  ok ", "note": " note", "unknown": "  ?  ", "bad": " BAD "}[finding.level]
            print(f"{sign}  {finding.text}", flush=True)
    print_result(given, findings)
    return 1 if bad else 0


def _body(given: argparse.Namespace) -> dict[str, Any]:
    """Converts the command's arguments to the body of the admin route."""
    if given.file:
        return _from_file(given)
    lines = []
    for text in given.group_role:
        group, mark, role = text.rpartition("=")
        if not mark or not group:
            raise CommandRefused(f"--group-role {text}: must be GROUP=ROLE")
        lines.append((group, role))
    body: dict[str, Any] = {
        "name": given.name,
        "displayName": given.display_name or given.name,
        "domains": given.domain,
        "createUsers": given.create_users,
        "groupRoles": [{"group": g, "roles": [r for other, r in lines if other == g]} for g in dict(lines)],
        "defaultRoles": given.default_role,
        "returnAddresses": given.return_address,
    }
    if given.metadata:
        text = sys.stdin.read() if given.metadata == "-" else given_path(given.metadata).read_text("utf-8")
        return {**body, "saml": {"metadata": text}}
    openid = {"issuer": given.issuer, "clientId": given.client_id, "groupClaim": given.group_claim}
    openid["clientSecret"] = _secret(given)
    return {**body, "oidc": {name: value for name, value in openid.items() if value is not None}}


def _from_file(given: argparse.Namespace) -> dict[str, Any]:
    """Reads the body from a file, the name from the command, and a secret from standard input."""
    singles = (given.issuer, given.client_id, given.group_claim, given.metadata, given.display_name, given.create_users)
    if any(singles) or given.domain or given.group_role or given.default_role or given.return_address:
        raise CommandRefused("--file: it contains all settings; use only --client and --client-secret-stdin with it")
    body = parse(given.file.read_bytes())
    if not isinstance(body, dict):
        raise CommandRefused(f"--file {given.file}: must be a JSON object")
    kind = next((kind for kind in KINDS if isinstance(body.get(kind), dict)), None)
    secret = _secret(given)
    if secret is not None and kind is not None:
        body[kind]["clientSecret"] = secret
    return {**body, "name": given.name}


def _secret(given: argparse.Namespace) -> str | None:
    return sys.stdin.readline().rstrip("\r\n") if given.client_secret_stdin else None
