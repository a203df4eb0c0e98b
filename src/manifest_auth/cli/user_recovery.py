"""Commands for users who cannot sign in, run on the server: ``user link`` and ``user reset-factors``."""

from __future__ import annotations

import argparse

from manifest_auth import accounts, tenants
from manifest_auth.accounts import FactorResetData, users
from manifest_auth.accounts.one_time_links import Purpose
from manifest_auth.cli.command import CommandLine, CommandRefused, client_named, started
from manifest_auth.store import TenantUnit
from manifest_auth.text.canonical import when


async def user_link(given: argparse.Namespace) -> None:
    """Prints a link with which a user sets a first or a new password, or signs in through a provider."""
    async with started() as services:
        tenant = await services.store.read(lambda unit: client_named(unit, given.client))
        by_password = tenants.settings_of(tenant.settings).password_sign_in

        def work(unit: TenantUnit) -> accounts.NewLink:
            found = users.find_by_email(unit, given.email)
            if found is None:
                raise CommandRefused(f"{given.client} has no user {given.email}")
            user = users.get(unit, found.id, lock=True)
            purpose = Purpose.RESET if user.password_hash and by_password else Purpose.INVITATION
            return accounts.make_link(unit, CommandLine(services), user, purpose, is_returned=True)

        made = await services.store.of(tenant.id).write(work)
        print(made.link)
        print(f"Works once, until {when(made.expires_at)}. It opens the account: give it to {given.email} only.")


async def user_reset_factors(given: argparse.Namespace) -> None:
    """As :func:`accounts.reset_factors`, of the user with the address, who has to have a factor."""
    async with started() as services:
        tenant = await services.store.read(lambda unit: client_named(unit, given.client))

        def work(unit: TenantUnit) -> FactorResetData:
            found = users.find_by_email(unit, given.email)
            if found is None:
                raise CommandRefused(f"{given.client} has no user {given.email}")
            if not found.factors:
                raise CommandRefused(
                    f"{given.email} has no second factor: nothing was taken away, and no session ended"
                )
            return accounts.reset_factors(unit, CommandLine(services), found.id, given.reason)

        done = await services.store.of(tenant.id).write(work)
        print(f"{given.email}: second factors taken away: {done.factors}, sessions ended: {done.sessions}.")
        print("The user signs in with the first proof alone, and enrols a factor again where one is required.")
