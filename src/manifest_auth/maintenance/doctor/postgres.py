"""``doctor``: settings of PostgreSQL, and of a pooler in front of it, that could lose or revive sessions."""

from __future__ import annotations

from manifest_auth.maintenance.doctor.environment import Finding, bad, note, ok
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.settings import Settings
from manifest_auth.store import StoreUnavailable
from manifest_auth.store.postgres_connections import FAILURES, Raw, connected, limits_out_of_bounds
from manifest_auth.store.tables import metadata

_SERVER = "SELECT pg_postmaster_start_time() AS began, oid FROM pg_database WHERE datname = current_database()"
_SETTINGS = ("synchronous_commit", "fsync", "synchronous_standby_names", "transaction_read_only")
_TRIES = 5
LEAST = 15  # the oldest version with which the server was tested
_LACKING = """
SELECT name, privilege FROM unnest($1::text[]) name, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) privilege
WHERE NOT coalesce(has_table_privilege(to_regclass(quote_ident(name)), privilege), false)
    AND (name, privilege) <> ('audit_events', 'UPDATE') ORDER BY name, privilege
"""
#: A megabyte, which is more than the free space within any table.
_FILL = "INSERT INTO doctor SELECT repeat('x', 7000) FROM generate_series(1, 150)"


async def pooler_findings(settings: Settings) -> list[Finding]:
    """Finds a cause that makes every other check fail: a pooler in transaction mode that passes on prepared statements
    under names chosen by each client, so that clients use each other's statements. Raises StoreUnavailable."""
    async with connected(settings.database) as raw, connected(settings.database) as other:
        name = f"doctor_{Random().text(9)}"
        await (await raw.prepare("SELECT 1", name=name)).fetchval()
        for _ in range(_TRIES):  # others might use the pooler in the meantime
            # Without parameters it is not prepared; the answer has the number of rows.
            if await other.execute(f"SELECT FROM pg_prepared_statements WHERE name = '{name}'") != "SELECT 0":
                return [
                    bad(
                        "pooler: it doesn't keep prepared statements apart; set "
                        "max_prepared_statements = 512 in pgbouncer.ini"
                    )
                ]
    return []


async def postgres_findings(settings: Settings) -> list[Finding]:
    """Returns levels and texts of the findings. Raises StoreUnavailable."""
    async with connected(settings.database) as raw:
        found = await _settings_of(raw)
        if (version := raw.get_server_version().major) < LEAST:
            found.append(bad(f"PostgreSQL: version {version} isn't supported; upgrade it to {LEAST} or newer"))
        if settings.database_direct != settings.database:
            found += await _compared(raw, settings.database_direct)
        elif await raw.is_pooled():
            found.append(
                note(
                    "pooler: there is one in front of PostgreSQL, but no direct address; set "
                    "MANIFEST_DATABASE_DIRECT_URL"
                )
            )
    return found or [ok("PostgreSQL: its settings are safe for confirmed changes")]


async def rights_and_space(settings: Settings) -> list[Finding]:
    """Checks whether this role can use every table like a server, and whether a table can grow. Raises
    StoreUnavailable."""
    async with connected(settings.database) as raw:
        lacking = await raw.fetch(_LACKING, [table.name for table in metadata.sorted_tables])
        if lacking:
            listed = ", ".join(f"{privilege} on {name}" for name, privilege in lacking)
            role = await raw.fetchval("SELECT current_user")
            return [
                bad(
                    f"permissions: {role} is missing {listed}; as the owner of the tables, run: "
                    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "
                    f"{role}"
                )
            ]
        if not await raw.fetchval("SELECT has_database_privilege(current_database(), 'TEMPORARY')"):
            return []
        try:
            async with raw.transaction():
                await raw.execute("CREATE TEMPORARY TABLE doctor (filled text STORAGE PLAIN) ON COMMIT DROP")
                await raw.execute(_FILL)
        except FAILURES as error:
            return [bad(f"disk: PostgreSQL can't extend tables, so nobody can sign in: {error}; free up space there")]
    return [ok("permissions: the role has all that it needs on every table")]


async def _settings_of(raw: Raw) -> list[Finding]:
    rows = await raw.fetch("SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])", _SETTINGS)
    is_ = {name: value for name, value in rows}  # noqa: C416 - rows of the driver are no tuples
    wrong = [
        f"{name} is {value} ms; set it between 1 s and 60 s. `manifest-auth db upgrade` sets 15 s "
        "for new sessions. A pooler opens those after RECONNECT in its console"
        for name, value in (await limits_out_of_bounds(raw)).items()
    ]
    if is_["synchronous_commit"] in ("off", "local"):
        wrong.append(
            f"synchronous_commit is {is_['synchronous_commit']}, so confirmed changes can be lost; set it to on"
        )
    if is_["fsync"] == "off":
        wrong.append("fsync is off, so a crash can destroy the database; set it to on")
    attached = await raw.fetchval("SELECT count(*) FROM pg_stat_replication")
    if attached and not is_["synchronous_standby_names"]:
        wrong.append(
            "a standby is attached, but synchronous_standby_names is empty, so a failover can "
            "restore sessions that were just signed out; set synchronous_mode of Patroni, or "
            "synchronous_standby_names"
        )
    if is_["transaction_read_only"] == "on":
        wrong.append("this server is read-only, like a standby; MANIFEST_DATABASE_URL must point to the primary")
    return [bad(f"PostgreSQL: {text}") for text in wrong]


async def _compared(raw: Raw, direct: str) -> list[Finding]:
    try:
        async with connected(direct) as other:
            if await raw.fetchrow(_SERVER) != await other.fetchrow(_SERVER):
                return [bad("MANIFEST_DATABASE_DIRECT_URL and MANIFEST_DATABASE_URL point to different databases")]
    except StoreUnavailable as error:
        return [bad(f"MANIFEST_DATABASE_DIRECT_URL: {error}")]
    return []
