"""``manifest-auth user link``: prints a one-time link on the server, for when e-mail does not work."""

from __future__ import annotations

import argparse

from manifest_auth import accounts, tenants
from manifest_auth.accounts import one_time_links, users
from manifest_auth.accounts.one_time_links import Purpose
from manifest_auth.cli.command import Refused, client_named, origin_of, started
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
                raise Refused(f"{given.client} has no user {given.email}")
            user = users.get(unit, found.id, lock=True)
            purpose = Purpose.RESET if user.password_hash and by_password else Purpose.INVITATION
            return accounts.make_link(
                unit, origin_of(services), services.account_tools, user, purpose, is_returned=True
            )

        made = await services.store.of(tenant.id).write(work)
        print(one_time_links.address(services.settings.public_url, made.token or ""))
        print(f"Works once, until {when(made.expires_at)}. It opens the account: give it to {given.email} only.")
