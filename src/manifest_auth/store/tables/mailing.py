"""Tables of what goes by e-mail: e-mails that wait to be sent, and changes of an address that wait to be confirmed."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKeyConstraint, Index, Integer, Table, Text

from manifest_auth.store.tables.columns import OWNED, BigInt, metadata, sealed, tenant, time

queued_mails = Table(  # written in the transaction of the act, dropped when the mail server took the e-mail
    "queued_mails",
    metadata,
    tenant(primary_key=True),
    Column("id", Text, primary_key=True),  # 128 random bits
    Column("purpose", Text, nullable=False),
    Column("subject", Text, nullable=False),  # whom it is about, as the audit trail names one: `user:5`
    sealed("mail", "queued_mails/{tenant_id}/{id}/mail"),  # JSON: recipient, subject, text
    Column("tries", Integer, nullable=False),
    time("created_at"),
    time("next_try_at"),  # moved on by the process that tries
    time("expires_at"),  # given up from then on
    Index(None, "next_try_at"),
    info=OWNED,
    sqlite_strict=True,
)

email_changes = Table(  # another address: takes effect when its mailbox confirms, and can be undone from the old one
    "email_changes",
    metadata,
    tenant(primary_key=True),
    Column("key", Text, primary_key=True),  # SHA-256 of the token that went to the new address
    Column("user_id", BigInt, nullable=False),
    Column("old_email", Text, nullable=False),
    time("old_proved_at", nullable=True),  # since when the old address was proved, if it was
    Column("new_email", Text, nullable=False),
    Column("started_by", Text, nullable=False),  # as the audit trail names an actor
    Column("undo_key", Text),  # SHA-256 of the token that went to the old address
    time("created_at"),
    time("expires_at"),  # of the confirmation
    time("confirmed_at", nullable=True),
    time("closed_at", nullable=True),  # confirms and undoes nothing from then on
    time("undo_expires_at", nullable=True),
    ForeignKeyConstraint(["tenant_id", "user_id"], ["users.tenant_id", "users.id"]),
    Index(None, "key"),
    Index(None, "undo_key"),
    Index(None, "tenant_id", "user_id"),
    Index(None, "expires_at"),
    info=OWNED,
    sqlite_strict=True,
)
