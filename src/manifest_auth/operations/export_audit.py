"""Exports the audit trail of the caller's client as a file.

The export is recorded before the first byte is sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from manifest_auth import audit
from manifest_auth.accounts import users
from manifest_auth.audit import Act, AuditFilters, Event, Format
from manifest_auth.services import RequestContext
from manifest_auth.tenants import step_up
from manifest_auth.text.canonical import when


def check(ctx: RequestContext) -> None:
    """Raises ReauthenticationRequired for a caller who has to prove anew who they are."""
    step_up.check(ctx, Act.EXPORT)


async def start(ctx: RequestContext, filters: AuditFilters, form: Format) -> AsyncIterator[bytes]:
    """The bytes of a file with the events until now. Raises ValidationError,
    ReauthenticationRequired."""
    check(ctx)
    now, asked = ctx.now, audit.event_filter(filters)
    asked = asked._replace(until=min(asked.until, now + 1))  # the file must not grow while it is written
    chosen = {name: value for name, value in asked.texts.items() if value}
    chosen |= {name: value for name, value in (("from", filters.since), ("to", filters.until)) if value}
    subject = f"client:{ctx.user.tenant_id}"
    await ctx.store.write(
        lambda unit: audit.record(unit, ctx, Event.AUDIT_EXPORTED, subject, format=form, filters=chosen)
    )
    return audit.download(ctx.store, asked, form, lambda named: _emails(ctx, named))


async def _emails(ctx: RequestContext, named: set[str]) -> dict[str, str]:
    ids = [int(rest) for one in named if (rest := one.removeprefix("user:")) != one and rest.isdigit()]
    return await ctx.store.read(lambda unit: {f"user:{one.id}": one.email for one in users.get_many(unit, ids)})


def file_name(ctx: RequestContext, form: Format) -> str:
    """The name of the file."""
    return f"audit-{ctx.user.client}-{when(ctx.now)[:10]}.{form}"
