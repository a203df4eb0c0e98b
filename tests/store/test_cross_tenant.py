"""Every cross-tenant statement is in a list, so that adding one is a decision."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import manifest_auth

SOURCE = Path(manifest_auth.__file__).parent
STORE = SOURCE / "store"

#: File → how many statements it writes that cross tenants. Each is a way out of a tenant: add one on purpose, or not.
CROSS_TENANT = {
    "accounts/device_apps.py": 1,  # a client id names the app, that the tenant
    "accounts/shared_devices/device_rows.py": 1,  # a device shows its token and nothing else
    "accounts/factors/challenges.py": 1,  # a sign-in under way has only its challenge, which names the tenant
    # A passkey names its account, its credential id is unique in all; those of a former domain are counted.
    "accounts/factors/passkey_rows.py": 2,
    "accounts/one_time_links.py": 1,  # the caller shows a token, which names the tenant
    "accounts/service_accounts/oauth_clients.py": 1,  # a client id names the account, that the tenant
    "accounts/users/email_changes.py": 1,  # the caller shows a token, which names the tenant
    "accounts/users/with_tenant.py": 1,  # a sign-in that names no client: which of those that have the address is meant
    "audit/chain_links.py": 1,  # what the installation's chain says of the ends of all others
    "audit/chains.py": 1,  # which chains there are, for who proves them
    "audit/query.py": 2,  # system admins read the trail of all clients
    "audit/mac_renewal.py": 1,  # the installation's key signs the ends of all chains
    "audit/retention.py": 1,  # retention looks at all chains in turn
    "mail_queue/rows.py": 2,  # e-mails that were not taken are sent again, and counted, whatever tenant they belong to
    "operations/counts.py": 2,  # a system admin is told how many users and sessions there are
    "operations/domains/watch.py": 2,  # records are looked at, and old claims go, whatever tenant they belong to
    "operations/reencrypt.py": 1,  # the installation's key seals what is secret of every tenant
    "operations/secret_ends.py": 1,  # the ends of machines' secrets are watched, whatever tenant they belong to
    "operations/sweep_expired.py": 1,  # rows past their time are dropped, whatever tenant they belong to
    "providers/claimed_providers.py": 2,  # by e-mail domain: an address names no tenant yet; by a bearer's directory
    "providers/sign_in_flows.py": 2,  # by `state`, by request id: the answer names the sign-in, that the tenant
    "sessions/external_tokens.py": 2,  # another system's token names an identity; whose claims count
    "sessions/machine_principal.py": 1,  # by the hash of a secret, which names the account, that the tenant
    "sessions/principal.py": 2,  # by session id, by cookie: the credential names the session, the session the tenant
    "sessions/service_tokens.py": 1,  # a service account's token names the account, that the tenant
    "sessions/sessions.py": 1,  # a cookie that comes with a sign-in: its session ends, of whatever tenant
    "sign_in/directory_flows.py": 1,  # by `state`: the answer of Microsoft names the sign-in, that the tenant
    "sign_in/exchange_codes.py": 1,  # a one-time code names the tenant
    "tenants/claims/all_claims.py": 1,  # the operator settles claims of all clients
    "work/files.py": 1,  # files that no one recorded anywhere, whatever tenant they belong to
}


def _called(tree: ast.AST, name: str) -> int:
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return sum(1 for f in calls if (isinstance(f, ast.Name) and f.id == name) or getattr(f, "attr", None) == name)


def _outside_the_store(name: str) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for path in SOURCE.rglob("*.py"):
        if STORE not in path.parents:
            counted[path.relative_to(SOURCE).as_posix()] += _called(ast.parse(path.read_text("utf-8")), name)
    return {path: number for path, number in counted.items() if number}


def test_the_list_of_statements_that_cross_tenants_is_complete() -> None:
    assert _outside_the_store("cross_tenant") == CROSS_TENANT


def test_cross_tenant_is_called_by_its_own_name() -> None:
    """An import under another name would hide it from the list above."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert not [a for a in node.names if a.name in ("cross_tenant", "CrossTenant") and a.asname], path


def test_no_one_makes_a_statement_past_the_three_ways() -> None:
    for name in ("TenantScoped", "Global", "CrossTenant", "exec_driver_sql"):
        assert _outside_the_store(name) == {}, name


def test_no_one_outside_the_store_writes_sql_text() -> None:
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if STORE not in path.parents and isinstance(node, ast.ImportFrom) and "sqlalchemy" in (node.module or ""):
                assert not {"text", "literal_column", "table", "column"} & {a.name for a in node.names}, path


def test_no_one_outside_the_store_opens_a_connection() -> None:
    for path in SOURCE.rglob("*.py"):
        if STORE in path.parents:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {"sqlite3", "asyncpg"} & {n.split(".")[0] for n in names}, path
