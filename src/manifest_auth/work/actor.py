"""Code shared by all operations of the package: the actor, and the limit on rows that one statement reads."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

from sqlalchemy import BigInteger, Column, Select, bindparam

from manifest_auth.context import Request
from manifest_auth.errors import ValidationError
from manifest_auth.store import TenantScoped, among, tenant_scoped

R = TypeVar("R")

#: Maximum rows that one statement can read for a whole page of parents. Statements read one more, see
#: :func:`check_row_count`.
MOST_ROWS = 5000


class Actor(NamedTuple):
    """The acting user, and the time."""

    user_id: int
    at: int


def actor_of(ctx: Request) -> Actor:
    return Actor(ctx.user.user_id, ctx.now)


def numbered_rows(rows: Select[Any], parent: Column[Any], row: type[R]) -> TenantScoped[R]:
    """Selects the rows of the parents ``ids`` with numbers above ``after``, up to ``until``, in order; see
    :func:`check_row_count`."""
    number = parent.table.c.number
    wanted = number > bindparam("after", type_=BigInteger()), number <= bindparam("until", type_=BigInteger())
    return tenant_scoped(rows.where(among(parent, "ids"), *wanted).order_by(parent, number).limit(MOST_ROWS + 1), row)


def check_row_count(rows: list[R]) -> list[R]:
    """Returns the rows of a statement with ``LIMIT MOST_ROWS + 1``. Raises ValidationError if there are too many."""
    if len(rows) > MOST_ROWS:
        raise ValidationError(f"More than {MOST_ROWS} rows at a time. Request a smaller page")
    return rows
