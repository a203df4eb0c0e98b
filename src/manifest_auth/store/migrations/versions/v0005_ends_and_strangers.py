"""The ends of the audit trail's chains, and where they begin, carry MACs under a key of the secret key. Who switched a
provider off; whether a device is known anywhere; whether a client was suspended before it was to be deleted."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op

from manifest_auth.audit.chain_macs import NOTHING, Head, anchor_mac, made
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.sealing import Macs, Sealer

revision = "0005"
down_revision = "0004"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _table(name: str, *numbers: str, texts: tuple[str, ...] = ()) -> sa.TableClause:
    columns = [sa.column(number, BIG) for number in numbers]
    return sa.table(name, *columns, *(sa.column(text, sa.Text()) for text in texts))


_HEADS = _table(
    "audit_heads", "tenant_id", "sequence", "at", "previous_chain", "gone_at", texts=("hash", "doubts", "mac")
)
_ANCHORS = _table("audit_anchors", "tenant_id", "sequence", texts=("hash", "mac"))
_EVENTS = _table("audit_events", "tenant_id", "sequence", "at")
_KEYS = sa.table("signing_keys", sa.column("id", sa.Text()), sa.column("secret", sa.LargeBinary()))


def upgrade() -> None:
    # Columns are added without a batch: SQLite alters no table under the view `seats_taken`, and need not here.
    op.add_column("audit_heads", sa.Column("at", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("audit_heads", sa.Column("previous_chain", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("audit_heads", sa.Column("gone_at", sa.BigInteger(), nullable=True))
    op.add_column("audit_heads", sa.Column("doubts", sa.Text(), nullable=False, server_default=""))
    op.add_column("audit_heads", sa.Column("mac", sa.Text(), nullable=False, server_default=""))
    op.add_column("tenants", sa.Column("suspended_by_deletion", sa.Integer(), nullable=True))
    tenants = sa.table("tenants", sa.column("delete_at", BIG), sa.column("suspended_by_deletion", sa.Integer()))
    op.execute(sa.update(tenants).where(tenants.c.delete_at.is_not(None)).values(suspended_by_deletion=1))
    op.add_column("providers", sa.Column("disabled_by_admin", sa.Integer(), nullable=True))
    op.create_index(op.f("ix_known_origins_origin"), "known_origins", ["origin"], unique=False)
    op.add_column("audit_anchors", sa.Column("mac", sa.Text(), nullable=False, server_default=""))
    _sign(op.get_bind())


def _sign(store: Any) -> None:
    """What is there is taken as it is: until now nothing told who wrote it. From here on a MAC that is missing is a
    finding, so no later start makes one."""
    keys = context.config.attributes["keys"]()
    macs, used = Macs(keys), store.execute(sa.select(_KEYS.c.id, _KEYS.c.secret)).all()
    for key in used:  # under a wrong key, all that is signed here would never be ours
        Sealer(keys, Random()).open(key.secret, f"signing_keys/{key.id}/secret")
    newest = 0
    heads = store.execute(sa.select(_HEADS.c.tenant_id, _HEADS.c.sequence, _HEADS.c.hash).order_by(_HEADS.c.tenant_id))
    for chain, sequence, hashed in [row for row in heads.all() if row.tenant_id > 0]:
        head = Head(sequence, hashed, _time_of(store, chain, sequence), newest)
        _set(store, chain, made(macs, chain, head))
        newest = chain
    found = store.execute(sa.select(_HEADS.c.sequence, _HEADS.c.hash).where(_HEADS.c.tenant_id == 0)).first()
    if found is not None:
        head = Head(found.sequence, found.hash, _time_of(store, 0, found.sequence), newest)
        _set(store, 0, made(macs, 0, head))
    elif not used and not newest:  # a new store: the installation's own chain begins here and never again
        store.execute(sa.insert(_HEADS).values(tenant_id=0, **made(macs, 0, NOTHING)._asdict()))
    anchors = sa.select(_ANCHORS.c.tenant_id, _ANCHORS.c.sequence, _ANCHORS.c.hash)
    for chain, sequence, hashed in store.execute(anchors).all():
        mac = anchor_mac(macs, chain, sequence, hashed)
        store.execute(sa.update(_ANCHORS).where(_ANCHORS.c.tenant_id == chain).values(mac=mac))


def _time_of(store: Any, chain: int, sequence: int) -> int:
    which = sa.select(_EVENTS.c.at).where(_EVENTS.c.tenant_id == chain, _EVENTS.c.sequence == sequence)
    found = store.execute(which).scalar()
    return found if isinstance(found, int) else 0


def _set(store: Any, chain: int, head: Head) -> None:
    store.execute(sa.update(_HEADS).where(_HEADS.c.tenant_id == chain).values(**head._asdict()))
