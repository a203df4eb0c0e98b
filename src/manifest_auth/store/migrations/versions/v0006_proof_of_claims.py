"""Adds claims on domains and directories, provider names, and queued e-mails.

Also own callback addresses and verified identities.
"""

from __future__ import annotations

import json
import re
from typing import Any

import sqlalchemy as sa
from alembic import op

from manifest_auth.runtime.clock import Clock, Random

revision = "0006"
down_revision = "0005"
READABLE_BY = "0006"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: Microsoft's issuers of ID tokens; the directory is the first part of the path.
_MICROSOFT = re.compile(
    r"https://(?:login\.microsoftonline\.(?:com|us)|login\.partner\.microsoftonline\.cn|sts\.windows\.net)/"
    r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?:/|\Z)"
)


def upgrade() -> None:
    _columns()
    _claims()
    _mail()
    _file_totals()
    store, now = op.get_bind(), Clock().now_ms()
    for provider, settings in store.execute(sa.text("SELECT id, settings FROM providers WHERE kind = 'oidc'")).all():
        changed = sa.text("UPDATE providers SET settings = :settings WHERE id = :id")
        store.execute(changed, {"id": provider, "settings": _own_address(settings)})
    # Pending flows lack the callback address; they live for only ten minutes.
    store.execute(
        sa.text("DELETE FROM sign_in_flows WHERE provider_id IN (SELECT id FROM providers WHERE kind <> 'saml')")
    )
    _claim_domains(store, now)
    _claim_directories(store, now)
    _pin_names(store)


def _columns() -> None:
    op.add_column("users", sa.Column("email_proved_at", sa.BigInteger(), nullable=True))
    op.drop_index(op.f("ix_users_tenant_id_id"), table_name="users")
    op.create_index(op.f("ix_users_tenant_id_id"), "users", ["tenant_id", "id"], unique=True)
    # Of two equally good indexes, SQLite uses the newer one: the partial index of deactivated users stays the newer
    # one.
    is_put_away = sa.text("deactivated_at IS NOT NULL")
    op.drop_index(op.f("ix_users_deactivated"), table_name="users")
    op.create_index(
        op.f("ix_users_deactivated"), "users", ["tenant_id", "id"],
        sqlite_where=is_put_away, postgresql_where=is_put_away,
    )  # fmt: skip
    op.add_column("identities", sa.Column("vouched", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("identities", sa.Column("confirmed_at", sa.BigInteger(), nullable=True))
    op.add_column("identities", sa.Column("confirmed_by", sa.Text(), nullable=True))
    op.add_column("invitations", sa.Column("emailed", sa.Integer(), nullable=False, server_default="0"))
    reaching = "SELECT id FROM providers WHERE reaches_admins = 1"
    op.execute(
        sa.text(
            f"UPDATE identities SET vouched = 1 WHERE how IN ('domain', 'created') AND provider_id IN ({reaching})"  # noqa: S608 - our names
        )
    )
    op.add_column("sign_in_flows", sa.Column("redirect_uri", sa.Text(), nullable=False, server_default=""))
    op.add_column("sign_in_flows", sa.Column("iss_required", sa.Integer(), nullable=False, server_default="0"))


def _number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, BIG, nullable=null, autoincrement=False)


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=null)


def _table(name: str, key: tuple[str, ...], *columns: Any, indexes: tuple[tuple[str, ...], ...] = ()) -> None:
    """``columns``: with constraints; the primary key is ``key``, and each table is STRICT on SQLite."""
    primary = sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{name}"))
    op.create_table(name, *columns, primary, sqlite_strict=True)
    for index in indexes:
        op.create_index(op.f(f"ix_{name}_{'_'.join(index)}"), name, list(index), unique=False)


def _of_tenant(name: str, **options: Any) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f(f"fk_{name}_tenant_id"), **options)


def _owner_of(name: str, what: str) -> sa.ForeignKeyConstraint:
    claim = [f"{what}_claims.tenant_id", f"{what}_claims.{what}"]
    foreign = op.f(f"fk_{name}_tenant_id_{what}")
    return sa.ForeignKeyConstraint(["tenant_id", what], claim, name=foreign, ondelete="CASCADE")


def _claims() -> None:
    _table(
        "domain_claims", ("tenant_id", "domain"),
        _number("tenant_id"), _text("domain"), _text("token"), _text("state"), _text("proof", null=True),
        sa.Column("contested", sa.Integer(), nullable=False), _text("claimed_by"), _text("reason"),
        _number("claimed_at"), _number("proved_at", null=True), _number("checked_at", null=True),
        _number("failing_since", null=True), sa.Column("notices", sa.Integer(), nullable=False),
        _number("next_check_at", null=True), _of_tenant("domain_claims"),
        indexes=(("domain",), ("next_check_at",)),
    )  # fmt: skip
    _table(
        "domain_owners", ("domain",), _text("domain"), _number("tenant_id"), _owner_of("domain_owners", "domain"),
        indexes=(("tenant_id", "domain"),),
    )  # fmt: skip
    _table(
        "directory_claims", ("tenant_id", "directory"),
        _number("tenant_id"), _text("directory"), _text("cloud"), _text("state"), _text("proof", null=True),
        _text("claimed_by"), _text("reason"), _text("proved_by"), _number("claimed_at"),
        _number("proved_at", null=True), _of_tenant("directory_claims"),
        indexes=(("directory",),),
    )  # fmt: skip
    _table(
        "directory_owners", ("directory",), _text("directory"), _number("tenant_id"),
        _owner_of("directory_owners", "directory"), indexes=(("tenant_id", "directory"),),
    )  # fmt: skip
    _table(
        "directory_proofs", ("tenant_id", "key"),
        _number("tenant_id"), _text("key"), _text("directory"), _text("browser"), _text("session_id"),
        _number("provider_id", null=True), sa.Column("secrets", sa.LargeBinary(), nullable=False), _text("return_to"),
        _number("expires_at"), _of_tenant("directory_proofs"), indexes=(("key",), ("expires_at",)),
    )  # fmt: skip
    _table(
        "provider_names", ("name",), _text("name"), _number("tenant_id"),
        _of_tenant("provider_names", ondelete="CASCADE"), indexes=(("tenant_id",),),
    )  # fmt: skip


def _mail() -> None:
    _table(
        "queued_mails", ("tenant_id", "id"),
        _number("tenant_id"), _text("id"), _text("purpose"), _text("subject"),
        sa.Column("mail", sa.LargeBinary(), nullable=False), sa.Column("tries", sa.Integer(), nullable=False),
        _number("created_at"), _number("next_try_at"), _number("expires_at"), _of_tenant("queued_mails"),
        indexes=(("next_try_at",),),
    )  # fmt: skip
    user = sa.ForeignKeyConstraint(
        ["tenant_id", "user_id"], ["users.tenant_id", "users.id"], name=op.f("fk_email_changes_tenant_id_user_id")
    )
    _table(
        "email_changes", ("tenant_id", "key"),
        _number("tenant_id"), _text("key"), _number("user_id"), _text("old_email"),
        _number("old_proved_at", null=True), _text("new_email"),
        _text("started_by"), _text("undo_key", null=True), _number("created_at"), _number("expires_at"),
        _number("confirmed_at", null=True), _number("closed_at", null=True), _number("undo_expires_at", null=True),
        _of_tenant("email_changes"), user,
        indexes=(("key",), ("undo_key",), ("tenant_id", "user_id"), ("expires_at",)),
    )  # fmt: skip


def _file_totals() -> None:
    _table("file_totals", ("tenant_id",), _number("tenant_id"), _number("bytes"), _of_tenant("file_totals"))
    sums = "SELECT tenant_id, CAST(SUM(size) AS BIGINT) FROM files GROUP BY tenant_id"
    op.execute(sa.text(f"INSERT INTO file_totals (tenant_id, bytes) {sums}"))


def _own_address(settings: str) -> str:
    """The new settings of an OpenID provider: one that used the shared callback address keeps it; one with an own
    address gets the new form of it."""
    read = json.loads(settings)
    had_its_own = read["oidc"].pop("ownCallback", False)
    if not had_its_own:
        read["oidc"]["sharedCallback"] = True
    return json.dumps(read, separators=(",", ":"), ensure_ascii=False)


def _claim_domains(store: Any, now: int) -> None:
    """A domain that only one client lists counts for it; one that several list counts for none until one proves it."""
    found = store.execute(sa.text("SELECT DISTINCT tenant_id, domain FROM provider_domains ORDER BY tenant_id, domain"))
    rows, random = [(row.tenant_id, row.domain) for row in found], Random()
    claim = sa.text(
        "INSERT INTO domain_claims (tenant_id, domain, token, state, proof, contested, claimed_by, reason, claimed_at,"
        " proved_at, notices) VALUES (:tenant, :what, :token, :state, :proof, 0, 'system', '', :now, :proved, 0)"
    )
    own = sa.text("INSERT INTO domain_owners (domain, tenant_id) VALUES (:what, :tenant)")
    for values in _counted(rows, now):
        store.execute(claim, {**values, "token": base32(random.bytes(20))})
        if values["proof"]:
            store.execute(own, values)


def _claim_directories(store: Any, now: int) -> None:
    """As :func:`_claim_domains`, for directories."""
    text = "SELECT DISTINCT tenant_id, kind, issuer FROM providers WHERE kind IN ('entra', 'dynamics', 'oidc')"
    found = [(row.tenant_id, directory_of(row.kind, row.issuer)) for row in store.execute(sa.text(text))]
    claim = sa.text(
        "INSERT INTO directory_claims (tenant_id, directory, cloud, state, proof, claimed_by, reason, proved_by,"
        " claimed_at, proved_at) VALUES (:tenant, :what, '', :state, :proof, 'system', '', '', :now, :proved)"
    )
    own = sa.text("INSERT INTO directory_owners (directory, tenant_id) VALUES (:what, :tenant)")
    for values in _counted(sorted({(tenant, what) for tenant, what in found if what}), now):
        store.execute(claim, values)
        if values["proof"]:
            store.execute(own, values)


def _pin_names(store: Any) -> None:
    """A provider name that only one client uses keeps its meaning where no client is named."""
    text = "SELECT DISTINCT tenant_id, name, kind FROM providers WHERE kind <> 'entra'"
    found = [(row.tenant_id, row.name, row.kind) for row in store.execute(sa.text(text))]
    names = {(tenant, name) for tenant, name, _ in found}
    names |= {(tenant, "ms-dynamics") for tenant, _, kind in found if kind == "dynamics"}
    pin = sa.text("INSERT INTO provider_names (name, tenant_id) VALUES (:what, :tenant)")
    for values in _counted(sorted(names), 0):
        if values["proof"]:
            store.execute(pin, values)


def _counted(claims: list[tuple[int, str]], now: int) -> list[dict[str, Any]]:
    """Each claim with its state: proved where no other client has the same."""
    holders: dict[str, int] = {}
    for _, what in claims:
        holders[what] = holders.get(what, 0) + 1
    alone = {"state": "proved", "proof": "upgrade", "proved": now}
    shared = {"state": "pending", "proof": None, "proved": None}
    return [
        {"tenant": tenant, "what": what, "now": now, **(alone if holders[what] == 1 else shared)}
        for tenant, what in claims
    ]


def directory_of(kind: str, issuer: str) -> str:
    """The Microsoft directory of a provider; empty where it has none."""
    if kind != "oidc":
        return issuer
    found = _MICROSOFT.match(issuer)
    return found[1] if found else ""


def base32(raw: bytes) -> str:
    """32 characters for 20 bytes, as domain records carry them."""
    from base64 import b32encode

    return b32encode(raw).decode("ascii").lower()
