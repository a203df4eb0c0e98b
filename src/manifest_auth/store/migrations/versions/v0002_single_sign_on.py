"""Single sign-on: providers, identities, flows, one-time codes, invitations."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "providers",
        sa.Column("id", BIG, sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("secrets", sa.LargeBinary(), nullable=True),
        sa.Column("reaches_admins", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_providers_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_providers")),
        sa.UniqueConstraint("tenant_id", "name", name=op.f("uq_providers_tenant_id_name")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_providers_issuer"), "providers", ["issuer"], unique=False)
    op.create_table(
        "seen_assertions",
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_seen_assertions_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", "key", name=op.f("pk_seen_assertions")),
    )
    op.create_index(op.f("ix_seen_assertions_expires_at"), "seen_assertions", ["expires_at"], unique=False)
    op.create_table(
        "identities",
        sa.Column("id", BIG, sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("provider_id", BIG, nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("granted", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_sign_in_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_identities_provider_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_identities_tenant_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_identities_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identities")),
        sa.UniqueConstraint("provider_id", "subject", name=op.f("uq_identities_provider_id_subject")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_identities_user_id"), "identities", ["user_id"], unique=False)
    op.create_table(
        "invitations",
        sa.Column("id", BIG, sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("invited_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_invitations_tenant_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_invitations_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("key", name=op.f("uq_invitations_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_invitations_expires_at"), "invitations", ["expires_at"], unique=False)
    op.create_index(op.f("ix_invitations_user_id"), "invitations", ["user_id"], unique=False)
    op.create_table(
        "provider_domains",
        sa.Column("provider_id", BIG, nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_provider_domains_provider_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_provider_domains_tenant_id")),
        sa.PrimaryKeyConstraint("provider_id", "domain", name=op.f("pk_provider_domains")),
    )
    op.create_index(op.f("ix_provider_domains_domain"), "provider_domains", ["domain"], unique=False)
    op.create_table(
        "sign_in_codes",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("provider_id", BIG, nullable=False),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("challenge", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_sign_in_codes_provider_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_sign_in_codes_tenant_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sign_in_codes_user_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sign_in_codes")),
    )
    op.create_index(op.f("ix_sign_in_codes_expires_at"), "sign_in_codes", ["expires_at"], unique=False)
    op.create_index(op.f("ix_sign_in_codes_provider_id"), "sign_in_codes", ["provider_id"], unique=False)
    op.create_table(
        "sign_in_flows",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("provider_id", BIG, nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("secrets", sa.LargeBinary(), nullable=False),
        sa.Column("return_to", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=False),
        sa.Column("challenge", sa.Text(), nullable=False),
        sa.Column("link_session_id", sa.Text(), nullable=True),
        sa.Column("invitation_id", BIG, nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_sign_in_flows_provider_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_sign_in_flows_tenant_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sign_in_flows")),
        sa.UniqueConstraint("request_id", name=op.f("uq_sign_in_flows_request_id")),
    )
    op.create_index(op.f("ix_sign_in_flows_expires_at"), "sign_in_flows", ["expires_at"], unique=False)
    op.create_index(op.f("ix_sign_in_flows_provider_id"), "sign_in_flows", ["provider_id"], unique=False)
    op.create_table(
        "refused_tokens",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("refused_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_refused_tokens_tenant_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_refused_tokens")),
    )
    op.create_index(op.f("ix_refused_tokens_expires_at"), "refused_tokens", ["expires_at"], unique=False)
    op.create_table(
        "kept_tokens",
        sa.Column("provider_id", BIG, nullable=False),
        sa.Column("user_id", BIG, nullable=False),
        sa.Column("tenant_id", BIG, nullable=False),
        sa.Column("tokens", sa.LargeBinary(), nullable=False),
        sa.Column("kept_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_kept_tokens_provider_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_kept_tokens_tenant_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_kept_tokens_user_id")),
        sa.PrimaryKeyConstraint("provider_id", "user_id", name=op.f("pk_kept_tokens")),
    )
    op.create_index(op.f("ix_kept_tokens_user_id"), "kept_tokens", ["user_id"], unique=False)
    op.add_column("sessions", sa.Column("provider_id", BIG, nullable=True))
    op.create_index(op.f("ix_sessions_provider_id"), "sessions", ["provider_id"], unique=False)
