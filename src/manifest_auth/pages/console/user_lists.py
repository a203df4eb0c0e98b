"""Open sessions and identities of one user, as the user's page lists them."""

from __future__ import annotations

import msgspec

from manifest_auth import providers, sessions
from manifest_auth.services import RequestContext
from manifest_auth.store import Filters, TenantUnit

_SESSIONS = 20


class Session(msgspec.Struct, frozen=True):
    id: str
    method: str
    address: str
    browser: str
    created_at: int
    last_used_at: int


class Identity(msgspec.Struct, frozen=True):
    id: int
    provider: str
    subject: str
    email: str
    is_vouched: bool
    is_confirmed: bool
    last_sign_in_at: int


def sessions_of(unit: TenantUnit, ctx: RequestContext, user_id: int) -> tuple[Session, ...]:
    filters = Filters("open", "user", now=ctx.now, of_user=user_id)
    rows, _ = sessions.LISTING.read(unit, _SESSIONS, "", "CREATED_DESC", filters)
    return tuple(
        Session(
            id=row.id,
            method=row.method,
            address=row.address,
            browser=row.label or row.user_agent,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
        )
        for row in rows
    )


def identities_of(unit: TenantUnit, user_id: int) -> tuple[Identity, ...]:
    return tuple(
        Identity(
            id=row.id,
            provider=row.display_name or row.provider,
            subject=row.subject,
            email=row.email,
            is_vouched=bool(row.vouched),
            is_confirmed=row.confirmed_at is not None,
            last_sign_in_at=row.last_sign_in_at,
        )
        for row in providers.list_identities(unit, user_id)
    )
