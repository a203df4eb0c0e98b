"""Tables of clients' claims on shared names: e-mail domains, Microsoft directories, provider names.

A claim is a row of the client. Whether it counts for the installation is another row, keyed by the domain or directory
alone, so the database prevents two owners; that row is deleted with the claim.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Index, Integer, Table, Text

from manifest_auth.store.tables.columns import OWNED, BigInt, metadata, sealed, tenant, time

domain_claims = Table(
    "domain_claims",
    metadata,
    tenant(),
    Column("domain", Text, primary_key=True),  # lower case
    Column("token", Text, nullable=False),  # of the DNS record; random, never changes
    Column("state", Text, nullable=False),  # `pending`, `proved`, `failing`, `lapsed`
    Column("proof", Text),  # `dns`, `vouched`; null while there was none
    Column("contested", Integer, nullable=False),  # 1: another client owns the domain, or has its record as well
    Column("claimed_by", Text, nullable=False),  # the actor, as in the audit trail
    Column("reason", Text, nullable=False),  # of a vouching; else empty
    time("claimed_at"),
    time("proved_at", nullable=True),
    time("checked_at", nullable=True),
    time("failing_since", nullable=True),
    Column("notices", Integer, nullable=False),  # how many e-mails were sent about the failing record
    time("next_check_at", nullable=True),  # null: never checked automatically; advanced by the checking process
    Index(None, "domain"),
    Index(None, "next_check_at"),
    info=OWNED,
    sqlite_strict=True,
)

domain_owners = Table(  # the client whose claim on a domain counts
    "domain_owners",
    metadata,
    Column("domain", Text, primary_key=True),
    Column("tenant_id", BigInt, nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "domain"], ["domain_claims.tenant_id", "domain_claims.domain"], ondelete="CASCADE"
    ),
    Index(None, "tenant_id", "domain"),
    sqlite_strict=True,
)

directory_claims = Table(
    "directory_claims",
    metadata,
    tenant(),
    Column("directory", Text, primary_key=True),  # a GUID in lower case
    Column("cloud", Text, nullable=False),  # a name of microsoft.clouds; empty: the installation's
    Column("state", Text, nullable=False),  # `pending`, `proved`
    Column("proof", Text),  # `sign-in`, `vouched`, `granted`; null while there was none
    Column("claimed_by", Text, nullable=False),
    Column("reason", Text, nullable=False),  # of a vouching or a grant; else empty
    Column("proved_by", Text, nullable=False),  # `oid` of the directory's administrator who signed in; else empty
    time("claimed_at"),
    time("proved_at", nullable=True),
    Index(None, "directory"),
    info=OWNED,
    sqlite_strict=True,
)

directory_owners = Table(  # the client whose own claim on a directory counts; a system admin may grant it to others
    "directory_owners",
    metadata,
    Column("directory", Text, primary_key=True),
    Column("tenant_id", BigInt, nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "directory"],
        ["directory_claims.tenant_id", "directory_claims.directory"],
        ondelete="CASCADE",
    ),
    Index(None, "tenant_id", "directory"),
    sqlite_strict=True,
)

directory_proofs = Table(  # pending sign-ins of directory administrators
    "directory_proofs",
    metadata,
    tenant(),
    Column("key", Text, primary_key=True),  # SHA-256 of `state`
    Column("directory", Text, nullable=False),
    Column("browser", Text, nullable=False),  # SHA-256 of the cookie that the browser must send; empty: used
    Column("session_id", Text, nullable=False),  # of the user who started it
    Column("provider_id", BigInt),  # the provider whose application is used; null: the operator's
    sealed("secrets", "directory_proofs/{key}/secrets"),  # nonce and PKCE verifier
    Column("return_to", Text, nullable=False),
    time("expires_at"),
    Index(None, "key"),
    Index(None, "expires_at"),
    info=OWNED,
    sqlite_strict=True,
)

provider_names = Table(  # the client whose provider a sign-in without a client means
    "provider_names",
    metadata,
    Column("name", Text, primary_key=True),
    Column("tenant_id", BigInt, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
    Index(None, "tenant_id"),
    sqlite_strict=True,
)
