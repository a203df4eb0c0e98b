""" "Forgot password": a reset link is mailed to the account's address, if there is such an account.

The answer is sent before the account is examined, so that it is the same, and as fast, for every address. Requests are
throttled like sign-ins, with separate counters: they neither block a sign-in nor reset its counters. A reset replaces a
password and never creates one: an account without a password gets no link.
"""

from __future__ import annotations

from manifest_auth import audit
from manifest_auth.accounts import one_time_links, users
from manifest_auth.accounts.mail_queue import reader
from manifest_auth.accounts.one_time_links import Purpose
from manifest_auth.audit import Event
from manifest_auth.runtime import mail
from manifest_auth.runtime.metrics import EntryPoint
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import password
from manifest_auth.sign_in.password import Attempt, Claim
from manifest_auth.store import TenantUnit
from manifest_auth.text.canonical import when

ENTRY_POINT: EntryPoint = "forgot"


async def forgot(ctx: RequestContext, claim: Claim) -> None:
    """Mails a link in the background. Raises RateLimited."""
    services = ctx.services
    attempt = await services.store.write_quickly(lambda unit: password.find_and_count(unit, ctx, claim, ENTRY_POINT))
    if attempt.wait is not None:
        raise ctx.services.throttle.refusal(ENTRY_POINT, attempt.wait)
    services.mail.in_background(_send(ctx, attempt))


async def _send(ctx: RequestContext, attempt: Attempt) -> None:
    services, tenant, user = ctx.services, attempt.tenant, attempt.user
    if not ctx.services.mail.is_set_up:
        _not_sent(ctx, "no mail server is set up")
        return
    if tenant is None or user is None or tenant.suspended_at is not None:
        _not_sent(ctx, "no such account, or its client is suspended or uses no passwords")
        return
    token = ctx.services.random.text(24)

    def work(unit: TenantUnit) -> bool:
        now_user = users.get(unit, user.id, lock=True)
        if now_user.deactivated_at is not None or now_user.password_hash is None:
            return False
        # It goes to the account's own address, so it counts as made by the user.
        maker = f"user:{user.id}"
        expires_at = one_time_links.make(unit, user.id, Purpose.RESET, token, maker, ctx.now, emailed=True)
        audit.record(unit, ctx, Event.PASSWORD_RESET_STARTED, f"user:{user.id}", expires=when(expires_at), by="mail")
        address = one_time_links.address(services.settings.public_url, token)
        email = mail.reset(reader(now_user, tenant), mail.Link(address, one_time_links.LIFE_S[Purpose.RESET]))
        services.mail_queue.add(unit, ctx, email, Purpose.RESET.value, maker, useful_ms=expires_at - ctx.now)
        return True

    if not await services.store.of(tenant.id).write(work):
        _not_sent(ctx, "the account is deactivated or has no password")


def _not_sent(ctx: RequestContext, reason: str) -> None:
    ctx.services.log.info("reset_not_mailed", request_id=ctx.request_id, reason=reason)
