"""Figures of each day, checks of providers, forms that pages carry out once, forwarded addresses, apps, and SCIM."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from manifest_auth.store.migrations.versions.v0012_first import _column, _table

revision = "0013"
down_revision = "0012"
READABLE_BY = "0012"


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "daily_figures",
        sa.Column("tenant_id", big, sa.ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
        sa.Column("day", big, nullable=False),
        sa.Column("figure", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("number", big, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "day", "figure", "part"),
        sqlite_strict=True,
    )
    op.create_table(
        "provider_checks",
        sa.Column("tenant_id", big, sa.ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False),
        sa.Column("provider_id", big, nullable=False),
        sa.Column("checked_at", big, nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "provider_id"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "provider_id"], ["providers.tenant_id", "providers.id"], ondelete="CASCADE"
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "submitted_forms",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("made_at", big, nullable=False),
        sa.Column("answer", sa.LargeBinary()),
        sa.Column("kept", sa.LargeBinary()),
        sa.Index("ix_submitted_forms_made_at", "made_at"),
        sa.Index("ix_submitted_forms_person_made_at", "person", "made_at"),
        sqlite_strict=True,
    )
    right = sa.Column("may_forward_address", sa.Integer(), nullable=False, server_default="0")
    op.add_column("service_accounts", right)
    op.create_table(
        "id_token_keys",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", big, nullable=False),
        sa.Column("retired_at", big),
        sa.Column("expires_at", big),
        sqlite_strict=True,
    )
    for table, columns in _COLUMNS.items():
        for column in columns.split():
            op.add_column(table, _column(column))
    for lines in _TABLES:
        _table(*lines)


_COLUMNS = {  # as the first revision writes them
    "device_apps": "kind=device redirect_uris= post_logout_uris= allowed_origins= scopes= roles:int=0 consent:int=0"
    " second_factor:int=0 access_s:int=900 refresh_days:int=30 id_token_alg=RS256 backchannel_uri? jwks? last_used_at?"
    " removed_at?",
    "sessions": "app_scopes? scopes:int?",
    "users": "profile_changed_at?",
    "sign_in_codes": "app_id? redirect_uri? scopes? nonce?",
}
_TABLES = (
    (
        "app_secrets: tenant_id id app_id hash hint created_at created_by ends_at?",
        "goes with tenant_id>tenants app_id>device_apps",
        "index tenant_id app_id; ends_at",
    ),
    (
        "app_grants: tenant_id user_id:big app_id scopes given_at consented_at? last_used_at recorded_at?",
        "key tenant_id user_id app_id",
        "goes with tenant_id>tenants user_id>users app_id>device_apps",
        "index tenant_id app_id",
    ),
    (
        "logout_notices: tenant_id session_id parent_id user_id:big app_id due_at tries:int=0",
        "key tenant_id session_id",
        "goes with tenant_id>tenants",
        "index due_at",
    ),
    (
        "scim_connections: id:new tenant_id name provider_id:big? group_roles default_roles:int adopt_users:int"
        " may_manage_admins:int service_id:big? created_at created_by changed_at last_call_at? failures:big=0"
        " last_failure_at? last_failure=",
        "goes with tenant_id>tenants service_id>service_accounts.user_id",
        "unique tenant_id name",
        "index tenant_id service_id",
    ),
    (
        "scim_tokens: tenant_id id connection_id:big hash hint created_at created_by ends_at ended_at? last_used_at?",
        "goes with tenant_id>tenants connection_id>scim_connections",
        "index hash; tenant_id connection_id",
    ),
    (
        "scim_users: tenant_id user_id:big connection_id:big user_name user_name_key? external_id? attributes"
        " granted:int=0 version:big=1 created_at changed_at deactivated_at? removed_at?",
        "key tenant_id user_id",
        "goes with tenant_id>tenants user_id>users connection_id>scim_connections",
        "unique tenant_id connection_id user_name_key",
        "index tenant_id connection_id external_id; tenant_id connection_id user_id",
    ),
    (
        "scim_emails: tenant_id user_id:big email_key type",
        "key tenant_id user_id email_key type",
        "goes with tenant_id>tenants user_id>users",
        "index tenant_id email_key type user_id",
    ),
    (
        "scim_groups: id:new tenant_id connection_id:big display_name display_name_key external_id? version:big=1"
        " created_at changed_at",
        "goes with tenant_id>tenants connection_id>scim_connections",
        "index tenant_id connection_id id; tenant_id connection_id display_name_key",
        "index tenant_id connection_id external_id",
    ),
    (
        "scim_members: tenant_id group_id:big user_id:big added_at",
        "key tenant_id group_id user_id",
        "goes with tenant_id>tenants group_id>scim_groups user_id>users",
        "index tenant_id user_id group_id",
    ),
)
