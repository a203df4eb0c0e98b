"""Database access: tables, tenant-bound statements, units of work, two databases behind one code path, migrations.

Exports :class:`Store` with its units of work, and the three kinds of statements. Never exports a connection, a cursor
or SQL text, and contains no product rules.
"""

from manifest_auth.runtime.metrics import Metrics
from manifest_auth.runtime.sealing import Macs
from manifest_auth.store import installation_values
from manifest_auth.store.listing import (
    Filters,
    Listing,
    LookUps,
    among,
    among_pairs,
    cell,
    numbers,
    pairs,
    row_list,
    rows,
    texts,
)
from manifest_auth.store.statements import (
    NO_SERVICE,
    CrossTenant,
    Global,
    TenantScoped,
    UnscopedStatement,
    columns,
    cross_tenant,
    global_,
    tenant_condition,
    tenant_scoped,
    upsert,
)
from manifest_auth.store.store import Store, StoreUnavailable, TenantStore
from manifest_auth.store.unit import RESET, Announcement, SystemUnit, TenantUnit


def open_store(url: str, pool_size: int, metrics: Metrics | None = None, macs: Macs | None = None) -> Store:
    """Returns the store for a database address, not yet connected. PostgreSQL's driver is loaded only when it is used.

    ``macs``: MACs with the secret key, needed to record audit events.
    """
    if url.startswith("sqlite:"):
        from manifest_auth.store.sqlite import SqliteStore

        return SqliteStore(url, metrics, macs)
    from manifest_auth.store.postgres import PostgresStore

    return PostgresStore(url, pool_size, metrics, macs)
