"""``doctor``: what PostgreSQL and a pooler before it are set to, where a wrong setting loses or revives a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.settings import Settings
from manifest_auth.store import StoreUnavailable

if TYPE_CHECKING:
    from manifest_auth.store.postgres_connect import Raw

_SERVER = "SELECT pg_postmaster_start_time() AS began, oid FROM pg_database WHERE datname = current_database()"
_SET = (
    "SELECT current_setting('synchronous_commit') AS synchronous_commit, current_setting('fsync') AS fsync, "
    "current_setting('synchronous_standby_names') AS standbys, current_setting('transaction_read_only') AS read_only, "
    "(SELECT count(*) FROM pg_stat_replication) AS attached"
)
_TRIES = 5
Findings = list[tuple[str, str]]


async def pooler_findings(settings: Settings) -> Findings:
    """What makes every other check fail: a pooler in transaction mode that hands prepared statements on under the names
    that each client chose, so that clients take each other's. Raises StoreUnavailable."""
    if not settings.on_postgres:
        return []
    from manifest_auth.store.postgres_connect import connect

    raw = await connect(settings.database)
    try:
        other = await connect(settings.database)
        try:
            name = f"doctor_{Random().text(9)}"
            await (await raw.prepare("SELECT 1", name=name)).fetchval()
            for _ in range(_TRIES):  # others may use the pooler meanwhile
                # Without parameters it is not prepared; the answer has the number of rows.
                if await other.execute(f"SELECT FROM pg_prepared_statements WHERE name = '{name}'") != "SELECT 0":
                    return [("bad", "pooler: it does not keep prepared statements apart; set "
                                    "max_prepared_statements = 512 in pgbouncer.ini")]  # fmt: skip
        finally:
            other.terminate()
    finally:
        raw.terminate()
    return []


async def postgres_findings(settings: Settings) -> Findings:
    """Levels and texts of the findings; none on SQLite. Raises StoreUnavailable."""
    if not settings.on_postgres:
        return []
    from manifest_auth.store.postgres_connect import connect

    raw = await connect(settings.database)
    try:
        found = await _settings_of(raw)
        if settings.database_direct != settings.database:
            found += await _compared(raw, settings.database_direct)
        elif await raw.is_pooled():
            found.append(("note", "pooler: one stands before PostgreSQL, and there is no direct address; set "
                                  "MANIFEST_DATABASE_DIRECT_URL"))  # fmt: skip
    finally:
        raw.terminate()
    return found or [("ok", "PostgreSQL: its settings keep what is answered")]


async def _settings_of(raw: Raw) -> Findings:
    from manifest_auth.store.postgres_connect import limits_out_of_bounds

    is_ = await raw.fetchrow(_SET)
    assert is_ is not None
    bad = [
        f"{name} is {value} ms; set it between 1 s and 60 s: `manifest-auth db upgrade` sets 15 s for new sessions, "
        "which a pooler makes after RECONNECT in its console"
        for name, value in (await limits_out_of_bounds(raw)).items()
    ]
    if is_["synchronous_commit"] in ("off", "local"):
        bad.append(f"synchronous_commit is {is_['synchronous_commit']}: what was answered may be lost; set it to on")
    if is_["fsync"] == "off":
        bad.append("fsync is off: a crash may destroy the database; set it to on")
    if is_["attached"] and not is_["standbys"]:
        bad.append(
            "a standby is attached and synchronous_standby_names is empty: a failover may revive sessions that were "
            "signed out just before; set synchronous_mode of Patroni, or synchronous_standby_names"
        )
    if is_["read_only"] == "on":
        bad.append("this server is read-only, as a standby is; MANIFEST_DATABASE_URL must lead to the primary")
    return [("bad", f"PostgreSQL: {text}") for text in bad]


async def _compared(raw: Raw, direct: str) -> Findings:
    from manifest_auth.store.postgres_connect import connect

    try:
        other = await connect(direct)
    except StoreUnavailable as error:
        return [("bad", f"MANIFEST_DATABASE_DIRECT_URL: {error}")]
    try:
        if await raw.fetchrow(_SERVER) != await other.fetchrow(_SERVER):
            return [("bad", "MANIFEST_DATABASE_DIRECT_URL and MANIFEST_DATABASE_URL lead to different databases")]
    finally:
        other.terminate()
    return []
