"""Statements that read all of a client's rows in a table, either on purpose or because they need all of them."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from manifest_auth.store import TenantScoped, migrate
from tests.support.secret_keys import the_keys
from tests.support.statements import every_statement

#: By module, with the reason. SQLite considers any index that starts with the client equally good, so a look-up by key
#: can also appear here. If it does, check `EXPLAIN QUERY PLAN`, and add an index or change the order.
ALL_OF_A_CLIENT = {
    "accounts.factors.trusted_browsers": {
        "_COUNT",
        "_DROP_KEY",
        "_DROP_OLDER",
    },  # few: only sign-ins of the last 30 days
    "accounts.provisioning.connections": {"_LIST", "_TOKENS"},  # at most five connections with two valid tokens each
    "accounts.service_accounts.rows": {"_COUNT"},
    # A client has at most 100 apps, with two secrets each; codes live for a minute, grants of devices for ten.
    "accounts.apps": {"_COUNT", "_DROP_CODES", "_DROP_CODES_OF_USER", "_FORGET", "_LIST", "_SECRETS"},
    # At most 10,000 devices, counted for a new code; codes live for ten minutes.
    "accounts.shared_devices": {"_COUNT_DEVICES", "_COUNT_OPEN", "_LIST"},
    "accounts.users": {"ACTIVE_ADMINS", "_WITHOUT_FACTOR", "_WITH_PASSWORD"},  # the last one stops at the first row
    "audit.upkeep": {"_OLDEST"},  # stops at the first row
    "clients.admins_way_in": {"_ADMINS", "_ANY", "_LINKED"},  # a client has few Admins, and at most 50 providers
    "clients.client_lifecycle": {"_ORDER"},  # of the installation's trail, newest first
    "clients.client_standing": {"_SESSIONS", "_USERS"},
    "clients.daily_figures": {"_ACTIVE_WEEK", "_APP", "_PASSKEY", "_ROLES"},  # once an hour, in the background
    # A client has at most 50 providers.
    "clients.providers.daily_checks": {"_ALL"},
    "providers.identities": {
        "_COUNT",
        "_HAS_SUBJECT",
        "_LIST",
        "_REMEMBER",
        "_REMEMBER_ALL",
        "_SUBJECTS",
        "_UNLINK",
        "_UNLINK_ALIASES",
    },
    "providers.proved_identities": {"_CONFIRM", "_OF_USER", "_UNLINK"},
    "providers.providers": {"_COUNT", "_LIST"},
    "providers.sign_in_flows": {"_END"},  # flows live for ten minutes, and codes for one
    # For an app's page, or when the app ends. The last one reads the client's apps and one user's sessions.
    "sessions.app_sessions": {"_COUNT", "_END_ALL", "_END_FOR_OTHERS"},
    "sessions.sessions": {  # codes live for a minute, grants for ten, pending sign-ins for an hour
        "_END_TENANT",
        "_SHORTEN",
        "_VOID_ALL[0]",
        "_VOID_ALL[1]",
        "_VOID_ALL[2]",
        "_VOID_PROVIDERS[1]",
        "_VOID_PROVIDERS[2]",
        "_VOID_USERS[0]",
        "_VOID_USERS[2]",
    },
    "sign_in.password": {"_PICK", "_PICK_MORE"},  # its first and last ID; both stop at one row
    "tenants.claims.directories": {"_COUNT"},
    "tenants.claims.domains": {"_COUNT"},
    "work.files": {"_UNDER_WAY"},  # at most sixteen
}


@pytest.fixture(scope="module")
def planner(tmp_path_factory: pytest.TempPathFactory) -> sqlite3.Connection:
    path: Path = tmp_path_factory.mktemp("plans") / "m.db"
    asyncio.run(migrate.upgrade(f"sqlite:///{path}", the_keys))
    return sqlite3.connect(path)


def test_only_what_is_about_all_of_a_client_reads_all_of_it(planner: sqlite3.Connection) -> None:
    found: dict[str, set[str]] = {}
    for name, statement in every_statement().items():
        if isinstance(statement, TenantScoped) and any(_is_all(step) for step in _plan(planner, statement)):
            module, _, member = name.removeprefix("manifest_auth.").rpartition(".")
            found.setdefault(module, set()).add(member)
    assert found == ALL_OF_A_CLIENT


def _plan(planner: sqlite3.Connection, statement: TenantScoped[Any]) -> list[str]:
    asked = statement.sqlite
    return [row[3] for row in planner.execute(f"EXPLAIN QUERY PLAN {asked.sql}", [None] * len(asked.order))]


def _is_all(step: str) -> bool:
    return step.endswith("(tenant_id=?)") or (step.startswith("SCAN ") and "VIRTUAL TABLE" not in step)
