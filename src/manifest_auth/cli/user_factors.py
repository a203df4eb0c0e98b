"""``manifest-auth user reset-factors``: takes a user's second factors away, on the server."""

from __future__ import annotations

import argparse

from manifest_auth import accounts
from manifest_auth.accounts import FactorReset, users
from manifest_auth.cli.command import Refused, client_named, origin_of, started
from manifest_auth.store import TenantUnit


async def user_reset_factors(given: argparse.Namespace) -> None:
    """As :func:`accounts.reset_factors`, of the user with the address, who has to have a factor."""
    async with started() as services:
        tenant = await services.store.read(lambda unit: client_named(unit, given.client))

        def work(unit: TenantUnit) -> FactorReset:
            found = users.find_by_email(unit, given.email)
            if found is None:
                raise Refused(f"{given.client} has no user {given.email}")
            if not found.factors:
                raise Refused(f"{given.email} has no second factor: nothing was taken away, and no session ended")
            return accounts.reset_factors(unit, origin_of(services), services.account_tools, found.id, given.reason)

        done = await services.store.of(tenant.id).write(work)
        print(f"{given.email}: second factors taken away: {done.factors}, sessions ended: {done.sessions}.")
        print("The user signs in with the first proof alone, and enrols a factor again where one is required.")
