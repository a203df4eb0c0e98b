"""Commands for emergencies: list clients, users, and service accounts, and block them without using a console."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from manifest_auth import tenants
from manifest_auth.accounts import deactivate, end_sessions, restore, sent, service_accounts, users
from manifest_auth.cli import commands
from manifest_auth.cli.command import CommandRefused, add_json, print_result
from manifest_auth.cli.started import CommandLine, client_named, started
from manifest_auth.clients import client_lifecycle
from manifest_auth.permissions import role_names
from manifest_auth.store import Filters, SystemUnit, TenantUnit
from manifest_auth.tenants import Tenant
from manifest_auth.text.canonical import when
from manifest_auth.text.machine_secrets import SecretKind

_PAGE = 200
_ClientAct = Callable[[SystemUnit, CommandLine, Tenant], object]


def add_client(command: argparse.ArgumentParser) -> None:
    """Adds the actions of ``client``."""
    actions = commands.add_client(command)
    listing = actions.add_parser("list", help="list all clients")
    add_json(listing, "each: id, identifier, name, state")
    listing.set_defaults(run=_list_clients)
    for name, act, done, says in (
        (
            "suspend",
            client_lifecycle.suspend,
            "Suspended",
            "suspend a client: its users can't sign in, and their sessions end",
        ),
        ("restore", client_lifecycle.restore, "Restored", "restore a suspended client, or cancel its deletion"),
        ("end-sessions", client_lifecycle.end_sessions, "Ended all sessions of", "end all sessions of a client"),
    ):
        action = actions.add_parser(name, help=says)
        action.add_argument("identifier")
        action.set_defaults(run=_change_client, act=act, done=done)


def add_user(command: argparse.ArgumentParser) -> None:
    """Adds the actions of ``user``."""
    actions = commands.add_user(command)
    listing = actions.add_parser("list", help="list the users of a client")
    listing.add_argument("--client", required=True, help="identifier of the client")
    listing.add_argument("--search", default="", help="part of an email address or a name")
    add_json(listing, "each: id, email, state, roles, lastSignInAt")
    listing.set_defaults(run=_list_users)
    for name, run, members, says in (
        ("deactivate", _deactivate, "id", "deactivate a user: they can't sign in, and their sessions end"),
        ("restore", _restore, "id, link", "restore a deactivated user; an Admin must sign in again"),
        ("end-sessions", _end_sessions, "sessions", "end all sessions of a user, including those on trusted browsers"),
    ):
        action = actions.add_parser(name, help=says)
        action.add_argument("email")
        action.add_argument("--client", required=True, help="identifier of the client")
        add_json(action, members)
        action.set_defaults(run=run)


def add_service_account(command: argparse.ArgumentParser) -> None:
    """Adds the actions of ``service-account``."""
    actions = command.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="list the service accounts of a client, and their keys and secrets")
    listing.add_argument("--client", required=True, help="identifier of the client")
    add_json(listing, "each: id, name, state, roles, secrets (id, kind, hint, endsAt)")
    listing.set_defaults(run=_list_machines)
    for name, act, done, says in (
        (
            "disable",
            service_accounts.disable,
            "Disabled",
            "disable a service account: its keys and tokens stop working",
        ),
        ("enable", service_accounts.enable, "Enabled", "enable a disabled service account"),
    ):
        action = actions.add_parser(name, help=says)
        action.add_argument("name")
        action.add_argument("--client", required=True, help="identifier of the client")
        action.set_defaults(run=_switch_machine, act=act, done=done)
    revoke = actions.add_parser("revoke", help="revoke an API key or a client secret immediately")
    revoke.add_argument("id", help="ID, as printed by `service-account list`; if it begins with -, put -- before it")
    revoke.add_argument("--client", required=True, help="identifier of the client")
    revoke.set_defaults(run=_revoke)


async def _list_clients(given: argparse.Namespace) -> None:
    rows, after = list[dict[str, Any]](), 0
    async with started() as services:
        while found := await services.store.read(lambda unit: tenants.list_page(unit, after, _PAGE)):  # noqa: B023
            after = found[-1].id
            for one in found:
                state = "deleted" if one.delete_at else "suspended" if one.suspended_at else "active"
                rows.append({"id": one.id, "identifier": one.identifier, "name": one.name, "state": state})
    print_result(given, rows, *("\t".join(map(str, row.values())) for row in rows))


async def _change_client(given: argparse.Namespace) -> None:
    act: _ClientAct = given.act
    async with started() as services:

        def work(unit: SystemUnit) -> None:
            found = tenants.get(unit, client_named(unit, given.identifier).id, lock=True)
            act(unit, CommandLine(services), found)

        await services.store.write(work)
    print(f"{given.done} client {given.identifier}.")


async def _list_users(given: argparse.Namespace) -> None:
    rows, after = list[dict[str, Any]](), 0
    asked = Filters().search(given.search)
    async with started() as services:
        tenant = await services.store.read(lambda unit: client_named(unit, given.client))
        store = services.store.of(tenant.id)

        def page(unit: TenantUnit) -> list[users.User]:
            return users.LISTING.page(
                unit, first=_PAGE, sort="ID", after=(after, after), filters=asked.names, **asked.values
            )

        while found := await store.read(page):
            after = found[-1].id
            for one in found:
                state = "deactivated" if one.deactivated_at else "active"
                seen = when(one.last_sign_in_at) if one.last_sign_in_at else None
                row = {"id": one.id, "email": one.email, "state": state, "roles": role_names(one.roles)}
                rows.append({**row, "lastSignInAt": seen})
    text = ("\t".join([r["email"], r["state"], ", ".join(r["roles"]), r["lastSignInAt"] or "never"]) for r in rows)
    print_result(given, rows, *text)


async def _change_user(given: argparse.Namespace, act: Callable[[TenantUnit, CommandLine, int], Any]) -> Any:
    async with started() as services:
        tenant = await services.store.read(lambda unit: client_named(unit, given.client))
        by = CommandLine(services)
        acting = services.store.of(tenant.id).write(lambda unit: act(unit, by, commands.user_named(unit, given).id))
        done = await commands.record_missing_seat(services, tenant.id, acting)
        if (link := getattr(done, "new_link", None)) is not None:
            await sent(by, link)  # before this process ends
        return done


async def _deactivate(given: argparse.Namespace) -> None:
    done = await _change_user(given, deactivate)
    print_result(given, {"id": done.id}, f"Deactivated {given.email}. Their sessions and links ended.")


async def _restore(given: argparse.Namespace) -> None:
    done = await _change_user(given, restore)
    lines = [f"Restored {given.email}."]
    if done.new_link is not None:
        where = done.link or "in an email to the user"
        lines += [f"The account's previous credentials no longer work. New link, valid for 72 hours: {where}"]
    print_result(given, {"id": done.user.id, "link": done.link}, *lines)


async def _end_sessions(given: argparse.Namespace) -> None:
    ended = await _change_user(given, end_sessions)
    print_result(given, {"sessions": ended}, f"{given.email}: sessions ended: {ended}.")


async def _list_machines(given: argparse.Namespace) -> None:
    rows = list[dict[str, Any]]()
    async with started() as services:
        now = services.clock.now_ms()

        def work(unit: SystemUnit) -> None:
            own = unit.of(client_named(unit, given.client).id)
            for one in _machines(own):
                secrets = [
                    {"id": each.id, "kind": each.kind, "hint": each.hint, "endsAt": when(each.ends_at)}
                    for each in service_accounts.live_secrets(own, [one.id], now)
                ]
                state = "disabled" if one.deactivated_at else "active"
                row = {"id": one.id, "name": one.name, "state": state, "roles": role_names(one.roles)}
                rows.append({**row, "secrets": secrets})

        await services.store.read(work)
    lines = []
    for row in rows:
        lines += ["\t".join([row["name"], row["state"], ", ".join(row["roles"])])]
        lines += ["\t".join(["", *each.values()]) for each in row["secrets"]]
    print_result(given, rows, *lines)


def _machines(own: TenantUnit) -> list[service_accounts.ServiceAccount]:
    return service_accounts.LISTING.page(own, first=service_accounts.MOST, sort="ID")


async def _switch_machine(given: argparse.Namespace) -> None:
    async with started() as services:

        def work(unit: SystemUnit) -> None:
            own = unit.of(client_named(unit, given.client).id)
            found = next((one for one in _machines(own) if one.name == given.name), None)
            if found is None:
                _no(f"client {given.client} has no service account {given.name}")
            given.act(own, CommandLine(services), found.id)

        await services.store.write(work)
    print(f"{given.done} service account {given.name} of client {given.client}.")


async def _revoke(given: argparse.Namespace) -> None:
    async with started() as services:
        now = services.clock.now_ms()

        def work(unit: SystemUnit) -> None:
            own = unit.of(client_named(unit, given.client).id)
            found = service_accounts.find_secret(own, given.id)
            if found is None or found.ended_at is not None or found.ends_at <= now:
                _no(f"client {given.client} has no valid API key or client secret {given.id}")
            kind = SecretKind(found.kind)
            service_accounts.revoke_secret(own, CommandLine(services), found.user_id, kind, found.id)

        await services.store.write(work)
    print(f"Revoked {given.id} of client {given.client}.")


def _no(why: str) -> NoReturn:
    raise CommandRefused(why)
