"""Every cross-tenant statement is listed here, so that adding one is a deliberate decision."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import manifest_auth
from tests.support.rules import rule

SOURCE = Path(manifest_auth.__file__).parent
STORE = SOURCE / "store"

#: The number of cross-tenant statements in each file. Each one bypasses tenant isolation, so add one only on purpose.
CROSS_TENANT = {
    "accounts/apps.py": 2,  # a client ID identifies the app, and an issuer its client
    "sign_in/apps/logout.py": 3,  # notices to apps of all clients; an issuer, which identifies the client, can owe some
    "accounts/shared_devices.py": 1,  # a device sends only its token
    "accounts/factors/challenges.py": 1,  # a pending sign-in has only its challenge, which identifies the tenant
    # A passkey identifies its account, since credential IDs are unique; those of a former domain are counted.
    "accounts/factors/passkey_rows.py": 2,
    "accounts/one_time_links.py": 1,  # the caller sends a token, which identifies the tenant
    # The hash of a token identifies the connection, and so the tenant; the operator checks the connections of all.
    "accounts/provisioning/connections.py": 2,
    "accounts/service_accounts/rows.py": 1,  # a client ID identifies the account, and so the tenant
    "accounts/email_changes.py": 1,  # the caller sends a token, which identifies the tenant
    "accounts/users.py": 1,  # a sign-in without a client searches the clients for the address
    # The installation's record of the ends of all other trails, and the list of trails to verify.
    "audit/chains.py": 2,
    "audit/query.py": 2,  # system admins read the trails of all clients
    "audit/upkeep.py": 2,  # the installation's key signs the ends of all trails; retention processes each in turn
    # Undelivered emails of all tenants are sent again and counted.
    "accounts/mail_queue.py": 2,
    # Uploads of killed processes, and files that nobody recorded, of all tenants.
    "work/files.py": 2,
    "maintenance/installation_state.py": 2,  # a system admin sees the number of users and sessions
    "clients/daily_figures.py": 1,  # events of every client are counted, one client at a time
    "clients/providers/daily_checks.py": 2,  # one job checks the providers of all clients once a day
    "clients/domain_checks.py": 2,  # records are checked and old claims deleted, for all tenants
    "maintenance/reencrypt.py": 1,  # the installation's key encrypts the secrets of all tenants
    "clients/notices.py": 1,  # expiring secrets of service accounts are checked, for all tenants
    "maintenance/background_jobs.py": 1,  # expired rows are deleted, for all tenants
    "providers/providers.py": 3,  # by email domain, whether one is listed (no tenant is known yet); by a bearer's
    # directory
    "providers/sign_in_flows.py": 2,  # by `state` or request ID: the response identifies the sign-in, and so the tenant
    "sessions/sessions.py": 1,  # a cookie sent with a sign-in: its session ends, in any tenant
    # By one or more session IDs, or a cookie, which identify the session and so the tenant. The hash of a secret, or a
    # token, identifies the account and so the tenant. Another system's token identifies an identity and its claim.
    "sessions/principals.py": 7,
    "sign_in/directory_proof.py": 1,  # by `state`: Microsoft's response identifies the sign-in, and so the tenant
    "sign_in/exchange_codes.py": 1,  # a one-time code identifies the tenant
    "tenants/claims/domains.py": 1,  # the operator resolves claims of all clients
}


@dataclass(frozen=True)
class _File:
    """The calls in a source file, with their numbers, by last name; and its imports: module, name, alias."""

    is_of_the_store: bool
    called: Counter[str]
    imported: list[tuple[str, str, str | None]]


@cache
def _files() -> dict[str, _File]:
    """The files by path. Each is parsed once, and its tree discarded, since all trees together take a hundred
    megabytes."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        of_file = _File(STORE in path.parents, Counter(), [])
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                of_file.called[node.func.id if isinstance(node.func, ast.Name) else node.func.attr] += 1
            elif isinstance(node, ast.Import):
                of_file.imported.extend((each.name, "", each.asname) for each in node.names)
            elif isinstance(node, ast.ImportFrom):
                of_file.imported.extend((node.module or "", each.name, each.asname) for each in node.names)
        found[path.relative_to(SOURCE).as_posix()] = of_file
    return found


def _outside_the_store(name: str) -> dict[str, int]:
    return {
        path: file.called[name] for path, file in _files().items() if file.called[name] and not file.is_of_the_store
    }


@rule("TENANT-ISOLATION")
def test_the_list_of_statements_that_cross_tenants_is_complete() -> None:
    assert _outside_the_store("cross_tenant") == CROSS_TENANT


def test_cross_tenant_is_called_by_its_own_name() -> None:
    """An alias would hide the call from the list above."""
    for path, file in _files().items():
        for _, name, other_name in file.imported:
            assert name not in ("cross_tenant", "CrossTenant") or not other_name, path


def test_no_one_makes_a_statement_past_the_three_ways() -> None:
    for name in ("TenantScoped", "Global", "CrossTenant", "exec_driver_sql"):
        assert _outside_the_store(name) == {}, name


@rule("INJECTION")
def test_no_one_outside_the_store_writes_sql_text() -> None:
    for path, file in _files().items():
        for module, name, _ in file.imported:
            is_text = "sqlalchemy" in module and name in {"text", "literal_column", "table", "column"}
            assert file.is_of_the_store or not is_text, path


def test_no_one_outside_the_store_opens_a_connection() -> None:
    for path, file in _files().items():
        for module, *_ in file.imported:
            assert file.is_of_the_store or module.split(".")[0] not in {"sqlite3", "asyncpg"}, path
