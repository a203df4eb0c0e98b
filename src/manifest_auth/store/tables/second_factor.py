"""Tables of the system admins' second factor."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Table, Text

from manifest_auth.store.tables.columns import BigInt, metadata, sealed, time

admin_second_factors = Table(  # TOTP (RFC 6238), see accounts/admins/second_factor.py
    "admin_second_factors",
    metadata,
    Column("admin_id", BigInt, ForeignKey("system_admins.id"), primary_key=True, autoincrement=False),
    sealed("secret", "admin_second_factors/{admin_id}/secret"),
    time("created_at"),
    time("confirmed_at", nullable=True),  # required at sign-in from then on
    Column("last_step", BigInt, nullable=False),  # of the last used code: no code works twice
    sqlite_strict=True,
)

admin_recovery_codes = Table(
    "admin_recovery_codes",
    metadata,
    Column("admin_id", BigInt, ForeignKey("system_admins.id"), primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),  # SHA-256 of admin and code
    time("used_at", nullable=True),
    sqlite_strict=True,
)
