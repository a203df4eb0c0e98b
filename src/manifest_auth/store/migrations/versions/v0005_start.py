"""The first schema, in one revision (``docs/decisions/0037-first-schema.md``)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op

from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.sealing import Macs

revision = "0005"
down_revision = None
READABLE_BY = "0005"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TYPES: dict[str, Any] = {
    "": sa.Text(),
    "blob": sa.LargeBinary(),
    "int": sa.Integer(),
    "long": sa.BigInteger(),  # times, in milliseconds
    "real": sa.Double(),
}
#: Tables in which one client may have most rows: a plan made for the average client would scan all of them.
_GROWING = (
    "users", "templates", "template_versions", "template_steps", "template_events", "jobs", "job_assignments",
    "job_steps", "job_events", "job_records", "files",
)  # fmt: skip


def upgrade() -> None:
    _installation()
    _accounts()
    _single_sign_on()
    _templates()
    _jobs()
    # Last: SQLite alters no table under a view.
    taken = "SELECT roles, count(*) AS users FROM users WHERE deactivated_at IS NULL GROUP BY roles"
    op.execute(f"CREATE VIEW seats_taken AS {taken}")
    if op.get_bind().dialect.name == "postgresql":
        for table in _GROWING:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN tenant_id SET (n_distinct = 20)")
    _first_rows()


def _installation() -> None:
    _table("installation", "name value", key="name")
    _table("licences", "id:int license_key installed_at:long latest_seen_at:long")
    _table("revoked_licences", "license_id revoked_by revoked_at:long", key="license_id")
    _table("throttles", "key failures:int allowed_at:long updated_at:long", key="key", indexes="updated_at")
    _table(
        "signing_keys",
        "id purpose algorithm secret:blob created_at:long retired_at:long? expires_at:long?",
        indexes="purpose",
    )
    _table(
        "audit_events",
        "tenant_id:id sequence:long at:long event actor subject address request_id detail previous_hash hash",
        key="tenant_id sequence",
        indexes="tenant_id at sequence, at tenant_id sequence",
    )
    _table(
        "audit_heads",
        "tenant_id:id sequence:long hash",
        "at:long=0 previous_chain:long=0 gone_at:long? doubts= mac=",
        key="tenant_id",
    )
    _table("audit_anchors", "tenant_id:id sequence:long hash", "mac=", key="tenant_id")
    _table(
        "system_admins",
        "id:new username username_key password_hash created_at:long disabled_at:long? last_sign_in_at:long?",
        unique="username_key",
    )
    _table(
        "admin_sessions",
        "id admin_id:system_admins created_at:long ends_at:long ended_at:long? end_reason? last_used_at:long address"
        " user_agent refresh_current refresh_previous? refresh_changed_at:long",
        indexes="admin_id, ends_at",
    )
    _table(
        "admin_second_factors",
        "admin_id:system_admins secret:blob created_at:long confirmed_at:long? last_step:long",
        key="admin_id",
    )
    _table("admin_recovery_codes", "admin_id:system_admins key used_at:long?", key="admin_id key")


def _accounts() -> None:
    _table(
        "tenants",
        "id:new identifier name settings created_at:long suspended_at:long?",
        "delete_at:long? suspended_by_deletion:int?",
        unique="identifier",
    )
    _table(
        "users",
        "id:new tenant_id:tenants email email_key first_name last_name title roles:int password_hash?"
        " password_changed_at:long? created_at:long deactivated_at:long? last_sign_in_at:long?",
        "description=",
        unique="tenant_id email_key",
        indexes="email_key, tenant_id id, tenant_id last_name id",
    )
    _partial_index("users", "deactivated", "id")
    _partial_index("users", "deactivated_email_key", "email_key", "id")
    _partial_index("users", "deactivated_last_name", "last_name", "id")
    _table(
        "known_origins",
        "user_id:users origin tenant_id:tenants seen_at:long",
        key="user_id origin",
        indexes="seen_at, origin",
    )
    _table(
        "password_history", "id:new tenant_id:tenants user_id:users password_hash replaced_at:long", indexes="user_id"
    )
    _table(
        "sessions",
        "id tenant_id:tenants user_id:users method created_at:long ends_at:long ended_at:long? end_reason?"
        " last_used_at:long address user_agent cookie_hash cookie_seen_at:long refresh_current refresh_previous?"
        " refresh_changed_at:long",
        "provider_id:id?",
        unique="cookie_hash",
        indexes="ends_at, user_id, provider_id, tenant_id created_at id",
    )
    _table(
        "invitations",
        "id:new tenant_id:tenants user_id:users key invited_by created_at:long expires_at:long used_at:long?",
        "purpose=invitation",
        unique="key",
        indexes="expires_at, user_id",
    )


def _single_sign_on() -> None:
    _table(
        "providers",
        "id:new tenant_id:tenants name display_name kind issuer settings secrets:blob? reaches_admins:int"
        " created_at:long changed_at:long disabled_at:long?",
        "disabled_by_admin:int?",
        unique="tenant_id name",
        indexes="issuer",
    )
    _table(
        "provider_domains", "provider_id:providers domain tenant_id:tenants", key="provider_id domain", indexes="domain"
    )
    _table(
        "identities",
        "id:new tenant_id:tenants provider_id:providers subject user_id:users how email granted:int created_at:long"
        " last_sign_in_at:long",
        unique="provider_id subject",
        indexes="user_id",
    )
    _table("seen_assertions", "tenant_id:tenants key expires_at:long", key="tenant_id key", indexes="expires_at")
    _table(
        "sign_in_flows",
        "key tenant_id:tenants provider_id:providers browser request_id? secrets:blob return_to response challenge"
        " link_session_id? invitation_id:id? expires_at:long",
        key="key",
        unique="request_id",
        indexes="expires_at, provider_id",
    )
    _table(
        "sign_in_codes",
        "key tenant_id:tenants provider_id:providers user_id:users method challenge expires_at:long used_at:long?"
        " session_id?",
        key="key",
        indexes="expires_at, provider_id",
    )
    _table("refused_tokens", "key tenant_id:tenants refused_at:long expires_at:long", key="key", indexes="expires_at")
    _table(
        "kept_tokens",
        "provider_id:providers user_id:users tenant_id:tenants tokens:blob kept_at:long",
        key="provider_id user_id",
        indexes="user_id",
    )


def _templates() -> None:
    _table(
        "templates",
        "id:new tenant_id:tenants name name_key description versions:int published:int? events:int created_by:users"
        " created_at:long changed_at:long archived_at:long?",
        indexes="tenant_id changed_at id, tenant_id id, tenant_id name_key id",
    )
    _partial_index("templates", "archived", "id")
    _partial_index("templates", "archived_name_key", "name_key", "id")
    _partial_index("templates", "archived_changed_at", "changed_at", "id")
    _table(
        "template_events",
        "tenant_id:tenants template_id:templates number:int move version:int? comment by:users at:long",
        key="template_id number",
    )
    _table(
        "template_versions",
        "id:new tenant_id:tenants template_id:templates number:int status revision:int created_by:users"
        " created_at:long published_at:long?",
        unique="template_id number",
        indexes="status tenant_id template_id",
    )
    _table(
        "template_steps",
        "tenant_id:tenants version_id:template_versions number:int title instructions requires_evidence:int",
        key="version_id number",
    )


def _jobs() -> None:
    _table(
        "files",
        "id:new tenant_id:tenants key name media_type size:long sha256 uploaded_by:users uploaded_at:long"
        " used_at:long?",
        unique="key",
        indexes="used_at uploaded_at",
    )
    _table(
        "jobs",
        "id:new tenant_id:tenants template_id:templates version_id:template_versions version:int name name_key"
        " asset_id? priority:int status steps:int done:int records:int events:int created_by:users created_at:long"
        " changed_at:long started_at:long? completed_at:long? canceled_at:long?",
        indexes="tenant_id asset_id id, tenant_id changed_at id, tenant_id id, tenant_id name_key id,"
        " tenant_id priority id, tenant_id status changed_at id, tenant_id priority name_key id,"
        " tenant_id status name_key id, tenant_id status id, tenant_id status priority id, tenant_id template_id id",
    )
    _table(
        "job_assignments",
        "tenant_id:tenants job_id:jobs user_id:users assigned_by:users assigned_at:long",
        key="job_id user_id",
        indexes="user_id job_id",
    )
    _table(
        "job_events",
        "tenant_id:tenants job_id:jobs number:int move step:int? comment detail by:users at:long",
        key="job_id number",
    )
    _table(
        "job_records",
        "tenant_id:tenants job_id:jobs number:int step:int kind text? value:real? unit? file_id:files?"
        " recorded_by:users recorded_at:long",
        key="job_id number",
        indexes="file_id, job_id step number",
    )
    _table(
        "job_steps",
        "tenant_id:tenants job_id:jobs number:int completed_by:users completed_at:long",
        key="job_id number",
    )


def _first_rows() -> None:
    """The installation's id, and its audit chain, which can only start here."""
    number = sa.text("INSERT INTO installation (name, value) VALUES ('id', :value)")
    op.execute(number.bindparams(value=Random().bytes(16).hex()))
    nothing = "0" * 64
    mac = Macs(context.config.attributes["keys"]()).make(f'["head",0,0,"{nothing}",0,0,null,""]'.encode())
    head = sa.text("INSERT INTO audit_heads (tenant_id, sequence, hash, mac) VALUES (0, 0, :hash, :mac)")
    op.execute(head.bindparams(hash=nothing, mac=mac))


def _table(name: str, columns: str, added: str = "", *, key: str = "id", unique: str = "", indexes: str = "") -> None:
    """Creates a table. ``columns``: each ``name[:type][?][=default]``; without a type it is text; ``new`` is an
    identity column, ``id`` an id, the name of a table a foreign key to its ``id``; ``?``: nullable. ``added``: columns
    that stores of this schema got later, so that SQLite has them after the constraints. ``indexes``: separated by
    commas."""
    columns_and_tables = [_column(text) for text in columns.split()]
    points_at = sorted((column.name, table) for column, table in columns_and_tables if table)
    constraints: list[sa.Constraint] = [sa.PrimaryKeyConstraint(*key.split(), name=op.f(f"pk_{name}"))]
    for column, table in points_at:
        constraints.append(sa.ForeignKeyConstraint([column], [f"{table}.id"], name=op.f(f"fk_{name}_{column}")))
    if unique:
        names = unique.split()
        constraints.append(sa.UniqueConstraint(*names, name=op.f(f"uq_{name}_{'_'.join(names)}")))
    is_numbered = columns.startswith("id:new ")
    op.create_table(name, *(column for column, _ in columns_and_tables), *constraints, sqlite_autoincrement=is_numbered)
    for text in added.split():
        op.add_column(name, _column(text)[0])
    for names in [index.split() for index in indexes.split(",") if index]:
        op.create_index(op.f(f"ix_{name}_{'_'.join(names)}"), name, names, unique=False)


def _column(text: str) -> tuple[sa.Column[Any], str]:
    """The column, and the table that it points at."""
    definition, has_default, default = text.partition("=")
    name, _, kind = definition.rstrip("?").partition(":")
    options: dict[str, Any] = {"nullable": definition.endswith("?"), "autoincrement": False}
    if has_default:
        options["server_default"] = default
    if kind == "new":
        return sa.Column(name, _ID, sa.Identity(always=False), nullable=False), ""
    if kind in _TYPES:
        return sa.Column(name, _TYPES[kind], **options), ""
    return sa.Column(name, _ID, **options), "" if kind == "id" else kind


def _partial_index(table: str, name: str, *columns: str) -> None:
    """An index of only the archived or deactivated rows."""
    condition = sa.text(f"{name.partition('_')[0]}_at IS NOT NULL")
    names = ["tenant_id", *columns]
    op.create_index(op.f(f"ix_{table}_{name}"), table, names, sqlite_where=condition, postgresql_where=condition)
