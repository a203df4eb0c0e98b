"""The first schema of a release (``docs/decisions/0037-first-schema.md``).

Frozen: a later revision changes tables, never this text. The line of a table has its columns,
``name[:type][?][=default]``, where ``?`` is nullable. Without a type a column is a text, or a whole number of 64 bits
if it is the tenant or a time (``at``, ``…_at``). ``new`` is an id that the database assigns. The lines below it are:

- ``key``: the primary key. Without it, the tenant and ``id``, or ``id``.
- ``names``, ``goes with``: foreign keys, ``column>table[.column]``. Between tables of tenants they hold the tenant on
  both sides. A row goes with another one if it is deleted with it.
- ``unique``: a constraint.
- ``index``: an index. ``one``: unique. ``if``: only of rows where that time is set. Of two equally good indexes SQLite
  uses the newer one, so their order matters.
"""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from alembic import context, op

from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.sealing import Macs

revision = "0012"
down_revision = None
READABLE_BY = "0012"

_TABLES = """
installation: name value
    key name
schema_state: schema readable_by at
    key schema
signing_keys: id purpose algorithm secret:blob created_at retired_at? expires_at?
    index purpose
system_admins: id:new username username_key password_hash created_at disabled_at? last_sign_in_at?
    unique username_key
admin_sessions: id admin_id:big created_at ends_at ended_at? end_reason? last_used_at address user_agent
        refresh_current refresh_previous? refresh_changed_at cookie_hash? cookie_seen_at? proved_at?
    names admin_id>system_admins
    index admin_id; ends_at; one cookie_hash
throttles: key failures:int allowed_at updated_at
    key key
    index updated_at
tenants: id:new identifier name settings created_at suspended_at? delete_at? suspended_by_deletion:int?
    unique identifier
licences: id:int license_key installed_at latest_seen_at
revoked_licences: license_id revoked_by revoked_at
    key license_id
admin_second_factors: admin_id:big secret:blob created_at confirmed_at? last_step:big
    key admin_id
    names admin_id>system_admins
admin_recovery_codes: admin_id:big key used_at?
    key admin_id key
    names admin_id>system_admins
audit_heads: tenant_id sequence:big hash at=0 previous_chain:big=0 gone_at? doubts= mac=
    key tenant_id
audit_events: tenant_id sequence:big at event actor subject address request_id detail previous_hash hash
    key tenant_id sequence
    index tenant_id at sequence; at tenant_id sequence
audit_anchors: tenant_id sequence:big hash mac=
    key tenant_id
client_logos: tenant_id hash png:blob width:int height:int
    key tenant_id
    names tenant_id>tenants
announcements: id:new xid:big client:big at kind key
    index xid; at
nodes: id started_at seen_at skew_ms:big host version schema state pid:int
users: id:new tenant_id email email_key first_name last_name title roles:int password_hash? password_changed_at?
        created_at deactivated_at? last_sign_in_at? description= email_proved_at? language? factors:int=0
        second_factor_due_at? kind=person
    names tenant_id>tenants
    unique tenant_id email_key
    index email_key; tenant_id last_name id; tenant_id email_key id if deactivated_at
    index tenant_id last_name id if deactivated_at; tenant_id id if deactivated_at
password_history: id:new tenant_id user_id:big password_hash replaced_at
    names tenant_id>tenants user_id>users
    index tenant_id user_id
sessions: id tenant_id user_id:big method created_at ends_at ended_at? end_reason? last_used_at address user_agent
        cookie_hash cookie_seen_at refresh_current refresh_previous? refresh_changed_at provider_id:big? amr=
        authenticated_at? role_cap:int? device_ends_at? idle_s:int? app_id? device_id? label? parent_id?
        has_children:int?
    names tenant_id>tenants user_id>users
    index id; cookie_hash; tenant_id user_id; tenant_id provider_id; ends_at; tenant_id created_at id
known_origins: user_id:big origin tenant_id seen_at
    key tenant_id user_id origin
    names tenant_id>tenants user_id>users
    index tenant_id origin; seen_at
providers: id:new tenant_id name display_name kind issuer settings secrets:blob? reaches_admins:int created_at
        changed_at disabled_at? disabled_by_admin:int?
    names tenant_id>tenants
    unique tenant_id name
    index issuer tenant_id
provider_domains: provider_id:big domain tenant_id
    key tenant_id provider_id domain
    names tenant_id>tenants provider_id>providers
identities: id:new tenant_id provider_id:big subject user_id:big how email granted:int created_at last_sign_in_at
        vouched:int=0 confirmed_at? confirmed_by? untold:int?
    names tenant_id>tenants provider_id>providers user_id>users
    unique tenant_id provider_id subject
    index tenant_id user_id
former_identities: tenant_id id:big user_id:big kind issuer subject how
    goes with tenant_id>tenants user_id>users
    index tenant_id user_id
sign_in_flows: key tenant_id provider_id:big browser request_id? secrets:blob return_to response challenge
        link_session_id? invitation_id:big? expires_at redirect_uri= iss_required:int=0
    key tenant_id key
    names tenant_id>tenants provider_id>providers
    index key; request_id; tenant_id provider_id; expires_at
seen_assertions: tenant_id key expires_at
    key tenant_id key
    names tenant_id>tenants
    index expires_at
sign_in_codes: key tenant_id provider_id:big? user_id:big method challenge expires_at used_at? session_id? amr=
        authenticated_at? parent_id?
    key tenant_id key
    names tenant_id>tenants provider_id>providers user_id>users
    index key; tenant_id provider_id; expires_at
invitations: id:new tenant_id user_id:big key invited_by created_at expires_at used_at? purpose=invitation
        emailed:int=0
    names tenant_id>tenants user_id>users
    index key tenant_id; tenant_id user_id; expires_at
refused_tokens: key tenant_id refused_at expires_at
    key tenant_id key
    names tenant_id>tenants
    index expires_at
kept_tokens: provider_id:big user_id:big tenant_id tokens:blob kept_at
    key tenant_id provider_id user_id
    names tenant_id>tenants provider_id>providers user_id>users
    index tenant_id user_id
domain_claims: tenant_id domain token state proof? contested:int claimed_by reason claimed_at proved_at? checked_at?
        failing_since:big? notices:int next_check_at?
    key tenant_id domain
    names tenant_id>tenants
    index domain; next_check_at
domain_owners: domain tenant_id
    key domain
    goes with domain>domain_claims.domain
    index tenant_id domain
directory_claims: tenant_id directory cloud state proof? claimed_by reason proved_by claimed_at proved_at?
    key tenant_id directory
    names tenant_id>tenants
    index directory
directory_owners: directory tenant_id
    key directory
    goes with directory>directory_claims.directory
    index tenant_id directory
directory_proofs: tenant_id key directory browser session_id provider_id:big? secrets:blob return_to expires_at
    key tenant_id key
    names tenant_id>tenants
    index key; expires_at
provider_names: name tenant_id
    key name
    goes with tenant_id>tenants
    index tenant_id
passkeys: tenant_id user_id:big id credential_id public_key:blob algorithm:int counter:big transports aaguid name
        backup_eligible:int backup_state:int rp_id created_at last_used_at?
    names tenant_id>tenants user_id>users
    unique tenant_id credential_id
    index tenant_id user_id
passkey_owners: credential_id tenant_id
    key credential_id
    goes with credential_id>passkeys.credential_id
    index tenant_id credential_id
used_passkey_challenges: key expires_at
    key key
    index expires_at
service_accounts: tenant_id user_id:big description scopes:int? addresses may_introspect:int jwks? created_by
        deleted_at? use_recorded_at? uses_kept_back:big=0 issue_recorded_at? issues_kept_back:big=0
    key tenant_id user_id
    names tenant_id>tenants user_id>users
    index user_id
service_secrets: tenant_id id user_id:big kind label hash hint days:int created_at created_by ends_at ended_at?
        rotated_to? notices:int=0 last_used_at? last_address=
    names tenant_id>tenants user_id>service_accounts.user_id
    index hash; tenant_id user_id; ends_at
used_assertions: tenant_id key expires_at
    key tenant_id key
    names tenant_id>tenants
    index expires_at
queued_mails: tenant_id id purpose subject mail:blob tries:int created_at next_try_at expires_at
    names tenant_id>tenants
    index next_try_at
email_changes: tenant_id key user_id:big old_email old_proved_at? new_email started_by undo_key? created_at expires_at
        confirmed_at? closed_at? undo_expires_at?
    key tenant_id key
    names tenant_id>tenants user_id>users
    index key; undo_key; tenant_id user_id; expires_at
templates: id:new tenant_id name name_key description versions:int published:int? events:int created_by:big created_at
        changed_at archived_at?
    names tenant_id>tenants created_by>users
    index tenant_id changed_at id; tenant_id name_key id; tenant_id id if archived_at
    index tenant_id name_key id if archived_at; tenant_id changed_at id if archived_at
template_versions: id:new tenant_id template_id:big number:int status revision:int created_by:big created_at
        published_at?
    names tenant_id>tenants created_by>users template_id>templates
    unique tenant_id template_id number
    index status tenant_id template_id
template_steps: tenant_id version_id:big number:int title instructions requires_evidence:int
    key tenant_id version_id number
    names tenant_id>tenants version_id>template_versions
template_events: tenant_id template_id:big number:int move version:int? comment by:big at
    key tenant_id template_id number
    names tenant_id>tenants by>users template_id>templates
jobs: id:new tenant_id template_id:big version_id:big version:int name name_key asset_id? priority:int status
        steps:int done:int records:int events:int created_by:big created_at changed_at started_at? completed_at?
        canceled_at?
    names tenant_id>tenants created_by>users template_id>templates version_id>template_versions
    index tenant_id asset_id id; tenant_id changed_at id; tenant_id name_key id; tenant_id priority id
    index tenant_id status changed_at id; tenant_id priority name_key id; tenant_id status name_key id
    index tenant_id status id; tenant_id status priority id; tenant_id template_id id
job_assignments: tenant_id job_id:big user_id:big assigned_by:big assigned_at
    key tenant_id job_id user_id
    names tenant_id>tenants assigned_by>users job_id>jobs user_id>users
    index tenant_id user_id job_id
job_steps: tenant_id job_id:big number:int completed_by:big completed_at
    key tenant_id job_id number
    names tenant_id>tenants completed_by>users job_id>jobs
job_events: tenant_id job_id:big number:int move step:int? comment detail by:big at
    key tenant_id job_id number
    names tenant_id>tenants by>users job_id>jobs
files: id:new tenant_id key name media_type size:big sha256 uploaded_by:big uploaded_at used_at?
    names tenant_id>tenants uploaded_by>users
    index used_at uploaded_at
job_records: tenant_id job_id:big number:int step:int kind text? value:real? unit? file_id:big? recorded_by:big
        recorded_at
    key tenant_id job_id number
    names tenant_id>tenants file_id>files job_id>jobs recorded_by>users
    index tenant_id job_id step number; tenant_id file_id
file_totals: tenant_id bytes:big
    key tenant_id
    names tenant_id>tenants
uploads: tenant_id key user_id:big size:big expires_at
    key tenant_id key
    goes with tenant_id>tenants user_id>users
    index expires_at
badge_pins: tenant_id hash user_id:big pepper:blob set_at temporary_until:big? given_by? given:int=0 wrong:int=0
        wrong_at? dead_at?
    key tenant_id user_id
    goes with tenant_id>tenants user_id>users
badges: tenant_id id kind code issued_by user_id:big issued_at ends_at ended_at? last_used_at?
    goes with tenant_id>tenants user_id>users
    index tenant_id code; tenant_id user_id; ends_at
device_apps: tenant_id id name created_by created_at
    goes with tenant_id>tenants
    index id
device_enrolments: tenant_id id name place code typed created_by created_at expires_at used_at?
    goes with tenant_id>tenants
    index tenant_id code; tenant_id typed; expires_at
device_grants: tenant_id key app_id device_name address user_agent digits state user_code? user_id:big? role_cap:int?
        provider_id:big? approved_at? session_ends_at? session_id? answered_at? interval_s:int polled_at? created_at
        expires_at
    key tenant_id key
    goes with tenant_id>tenants user_id>users
    unique tenant_id user_code
    index tenant_id app_id expires_at; expires_at
enrolled_devices: tenant_id id name place token enrolled_by enrolled_at seen_at removed_at?
    goes with tenant_id>tenants
    index token; tenant_id enrolled_at id; seen_at; removed_at
pairings: tenant_id id session_id code typed user_id:big grant_key? created_at code_ends_at expires_at
    goes with tenant_id>tenants user_id>users
    index tenant_id code; tenant_id typed; tenant_id user_id expires_at; expires_at
passkey_handles: tenant_id user_id:big handle
    key tenant_id user_id
    names tenant_id>tenants user_id>users
recovery_codes: tenant_id user_id:big key created_at used_at?
    key tenant_id user_id key
    names tenant_id>tenants user_id>users
sign_in_challenges: tenant_id user_id:big key purpose method amr authenticated_at? proof provider_id:big? link_id:big?
        enrols:int secrets:blob tries:int expires_at used_at?
    key tenant_id key
    names tenant_id>tenants user_id>users
    index key; tenant_id user_id; expires_at
trusted_browsers: tenant_id user_id:big id key user_agent address created_at ends_at
    names tenant_id>tenants user_id>users
    index tenant_id user_id; ends_at
user_totps: tenant_id user_id:big secret:blob? next_secret:blob? created_at last_step:big last_used_at?
        next_session_id?
    key tenant_id user_id
    names tenant_id>tenants user_id>users
"""
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TYPES: dict[str, Any] = {
    "": sa.Text(),
    "big": _BIG,
    "blob": sa.LargeBinary(),
    "int": sa.Integer(),
    "new": _BIG,
    "real": sa.Double().with_variant(sa.REAL(), "sqlite"),
}
_COLUMN = re.compile(r"(?P<name>\w+)(:(?P<kind>\w+))?(?P<null>\?)?(?P<default>=.*)?")
#: Tables in which one client may have most rows: a plan made for the average client would scan all of them.
_GROWING = (
    "users templates template_versions template_steps template_events jobs job_assignments job_steps job_events"
    " job_records files"
)


def upgrade() -> None:
    for text in re.split(r"\n(?=\w)", re.sub(r"\n {8}", " ", _TABLES.strip())):
        _table(*text.split("\n    "))
    op.execute(
        "CREATE VIEW seats_taken AS SELECT roles, count(*) AS users FROM users"
        " WHERE deactivated_at IS NULL AND kind = 'person' GROUP BY roles"
    )
    if not _is_sqlite():
        for name in _GROWING.split():
            op.execute(f"ALTER TABLE {name} ALTER COLUMN tenant_id SET (n_distinct = 20)")
        # Rewritten four times a second: a new version of a row fits on the page of the old one, and no index changes.
        op.execute("ALTER TABLE nodes SET (fillfactor = 20)")
    _first_rows()


def _first_rows() -> None:
    """The installation's id, and its audit chain, which can only start here."""
    number = sa.text("INSERT INTO installation (name, value) VALUES ('id', :value)")
    op.execute(number.bindparams(value=Random().bytes(16).hex()))
    nothing = "0" * 64
    mac = Macs(context.config.attributes["keys"]()).make(f'["head",0,0,"{nothing}",0,0,null,""]'.encode())
    head = sa.text("INSERT INTO audit_heads (tenant_id, sequence, hash, mac) VALUES (0, 0, :hash, :mac)")
    op.execute(head.bindparams(hash=nothing, mac=mac))


def _is_sqlite() -> bool:
    return bool(op.get_bind().dialect.name == "sqlite")


def _table(first: str, *lines: str) -> None:
    name, _, definitions = first.partition(": ")
    columns = [_column(definition) for definition in definitions.split()]
    is_numbered, has_tenant = "id:new" in definitions, " tenant_id" in f" {definitions}"
    parts = [line.partition(" ")[::2] for line in lines]
    key = ["tenant_id", "id"] if has_tenant else ["id"]
    constraints: list[sa.Constraint] = []
    for word, rest in parts:
        if word == "key":
            key = rest.split()
        elif word == "unique":
            constraints.append(sa.UniqueConstraint(*rest.split(), name=_name("uq", name, rest.split())))
        elif word in ("names", "goes"):
            points = rest.removeprefix("with ").split()
            constraints += [_foreign_key(name, point, "CASCADE" if word == "goes" else None) for point in points]
    # SQLite assigns ids only in a key of one column: there the tenant and the id are unique together.
    is_unique_together = is_numbered and has_tenant and _is_sqlite()
    constraints.append(sa.PrimaryKeyConstraint(*(["id"] if is_unique_together else key), name=op.f(f"pk_{name}")))
    op.create_table(name, *columns, *constraints, sqlite_strict=True, sqlite_autoincrement=is_numbered)
    indexes = [index for word, rest in parts if word == "index" for index in rest.split("; ")]
    for index in [index for index in indexes if " if " not in index]:
        names = index.removeprefix("one ").split()
        op.create_index(_name("ix", name, names), name, names, unique=index.startswith("one "))
    if is_unique_together:
        op.create_index(_name("ix", name, key), name, key, unique=True)
    for index in [index for index in indexes if " if " in index]:
        listed, _, marked = index.partition(" if ")
        names, where = listed.split(), sa.text(f"{marked} IS NOT NULL")
        named = _name("ix", name, [marked.removesuffix("_at"), *names[1:-1]])
        op.create_index(named, name, names, sqlite_where=where, postgresql_where=where)


def _column(definition: str) -> sa.Column[Any]:
    found = _COLUMN.fullmatch(definition)
    assert found is not None
    name, kind, default = found["name"], found["kind"] or "", found["default"]
    is_number = name in ("tenant_id", "at") or name.endswith("_at")
    return sa.Column(
        name,
        _BIG if is_number else _TYPES[kind],
        *([sa.Identity()] if kind == "new" else []),
        nullable=found["null"] is not None,
        server_default=None if default is None else default[1:],
        autoincrement=kind == "new",
    )


def _foreign_key(name: str, point: str, ondelete: str | None) -> sa.ForeignKeyConstraint:
    column, _, target = point.partition(">")
    table, _, there = target.partition(".")
    pairs = [(column, there or "id")]
    if table not in ("tenants", "system_admins"):
        pairs.insert(0, ("tenant_id", "tenant_id"))
    own = [pair[0] for pair in pairs]
    return sa.ForeignKeyConstraint(
        own, [f"{table}.{there}" for _, there in pairs], _name("fk", name, own), ondelete=ondelete
    )


def _name(kind: str, table: str, columns: list[str]) -> Any:
    return op.f(f"{kind}_{table}_{'_'.join(columns)}")
