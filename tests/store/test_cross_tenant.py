"""Every cross-tenant statement is in a list, so that adding one is a decision."""

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

#: File → how many statements it writes that cross tenants. Each is a way out of a tenant: add one on purpose, or not.
CROSS_TENANT = {
    "accounts/apps.py": 2,  # a client id names the app, an issuer its client
    "sign_in/apps/logout.py": 3,  # notices to apps of all clients; an issuer, which names the client, can owe some
    "accounts/shared_devices.py": 1,  # a device shows its token and nothing else
    "accounts/factors/challenges.py": 1,  # a sign-in in progress has only its challenge, which names the tenant
    # A passkey names its account, its credential id is unique in all; those of a former domain are counted.
    "accounts/factors/passkey_rows.py": 2,
    "accounts/one_time_links.py": 1,  # the caller shows a token, which names the tenant
    "accounts/service_accounts/rows.py": 1,  # a client id names the account, that the tenant
    "accounts/email_changes.py": 1,  # the caller shows a token, which names the tenant
    "accounts/users.py": 1,  # a sign-in that names no client: which of those that have the address is meant
    # What the installation's chain says of the ends of all others; which chains there are, for who proves them.
    "audit/chains.py": 2,
    "audit/query.py": 2,  # system admins read the trail of all clients
    "audit/upkeep.py": 2,  # the installation's key signs the ends of all chains; retention looks at all chains in turn
    # Emails that were not taken are sent again, and counted, whatever tenant they belong to.
    "accounts/mail_queue.py": 2,
    # Uploads of killed processes, whatever tenant they belong to; files that no one recorded anywhere, whatever
    # tenant they belong to.
    "work/files.py": 2,
    "maintenance/installation_state.py": 2,  # a system admin is told how many users and sessions there are
    "clients/daily_figures.py": 1,  # events of every client are counted, one client after another
    "clients/providers/daily_checks.py": 2,  # providers of all clients are checked once a day
    "clients/domain_checks.py": 2,  # records are looked at, and old claims go, whatever tenant they belong to
    "maintenance/reencrypt.py": 1,  # the installation's key seals what is secret of every tenant
    "clients/notices.py": 1,  # the ends of machines' secrets are watched, whatever tenant they belong to
    "maintenance/background_jobs.py": 1,  # rows past their time are dropped, whatever tenant they belong to
    "providers/providers.py": 3,  # by email domain, and whether one is listed: an address names no tenant yet; by a
    # bearer's directory
    "providers/sign_in_flows.py": 2,  # by `state`, by request id: the answer names the sign-in, that the tenant
    "sessions/sessions.py": 1,  # a cookie that comes with a sign-in: its session ends, of whatever tenant
    # By session id, of one or several, by cookie: it names the session, that the tenant. A hash of a secret, and a
    # token, name the account, that the tenant. Another system's token names an identity; whose claims count.
    "sessions/principals.py": 7,
    "sign_in/directory_proof.py": 1,  # by `state`: the answer of Microsoft names the sign-in, that the tenant
    "sign_in/exchange_codes.py": 1,  # a one-time code names the tenant
    "tenants/claims/domains.py": 1,  # the operator settles claims of all clients
}


@dataclass(frozen=True)
class _File:
    """The calls of a source file, with their numbers, by the last name; and its imports: module, name, other name."""

    is_of_the_store: bool
    called: Counter[str]
    imported: list[tuple[str, str, str | None]]


@cache
def _files() -> dict[str, _File]:
    """By path. Each is parsed once, and its tree is not kept: all of them are a hundred megabytes."""
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
    """An import under another name would hide it from the list above."""
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
