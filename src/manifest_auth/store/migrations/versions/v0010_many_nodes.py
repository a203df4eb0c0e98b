"""Prepares the store for many nodes: keys that begin with the tenant, announcements as rows, upgrades node by node."""

from __future__ import annotations

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    keys_begin_with_the_tenant()
    announcements()
    schema_state()


def keys_begin_with_the_tenant() -> None:
    """Primary keys, unique constraints and foreign keys of tenants' tables begin with `tenant_id`."""


def announcements() -> None:
    """What nodes tell each other, and which processes there are."""


def schema_state() -> None:
    """Which programs may read this store."""
