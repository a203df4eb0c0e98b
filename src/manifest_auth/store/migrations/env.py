"""Alembic's entry point; :mod:`manifest_auth.store.migrate` passes the connection."""

from __future__ import annotations

from alembic import context

from manifest_auth.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transaction_per_migration=False,
    # The caller holds the transaction and the lock: all revisions commit together with the version, or none does.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
