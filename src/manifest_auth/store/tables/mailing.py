"""Tables of queued e-mails, and of changes of users' e-mail addresses."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, Text

from manifest_auth.store.tables.columns import OWNED, metadata, row_of, sealed, tenant, time

queued_mails = Table(  # written in the transaction of the act, deleted when the mail server accepts the e-mail
    "queued_mails",
    metadata,
    tenant(),
    Column("id", Text, primary_key=True),  # 128 random bits
    Column("purpose", Text, nullable=False),
    Column("subject", Text, nullable=False),  # the subject, as in the audit trail: `user:5`
    sealed("mail", "queued_mails/{tenant_id}/{id}/mail"),  # JSON: recipient, subject, text
    Column("tries", Integer, nullable=False),
    time("created_at"),
    time("next_try_at"),  # advanced by the sending process
    time("expires_at"),  # given up from then on
    Index(None, "next_try_at"),
    info=OWNED,
    sqlite_strict=True,
)

email_changes = Table(  # a new address takes effect when its mailbox confirms it, and can be undone from the old one
    "email_changes",
    metadata,
    tenant(),
    Column("key", Text, primary_key=True),  # SHA-256 of the token that went to the new address
    *row_of("users", "user_id"),
    Column("old_email", Text, nullable=False),
    time("old_proved_at", nullable=True),  # when the old address was verified, if it was
    Column("new_email", Text, nullable=False),
    Column("started_by", Text, nullable=False),  # the actor, as in the audit trail
    Column("undo_key", Text),  # SHA-256 of the token that went to the old address
    time("created_at"),
    time("expires_at"),  # of the confirmation
    time("confirmed_at", nullable=True),
    time("closed_at", nullable=True),  # can be neither confirmed nor undone from then on
    time("undo_expires_at", nullable=True),
    Index(None, "key"),
    Index(None, "undo_key"),
    Index(None, "tenant_id", "user_id"),
    Index(None, "expires_at"),
    info=OWNED,
    sqlite_strict=True,
)
