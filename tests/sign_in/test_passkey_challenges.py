"""A self-contained passkey challenge is valid only for its holder, purpose, and lifetime."""

from __future__ import annotations

from manifest_auth.services import RequestContext
from manifest_auth.sign_in.passkeys import ceremonies
from tests.support.application import App
from tests.support.forged_tokens import altered
from tests.support.rules import rule


@rule("PASSKEY-CHALLENGE")
async def test_it_counts_for_its_holder_purpose_and_time_alone(app: App) -> None:
    ctx = RequestContext(app.services, "request", "192.0.2.1", "")
    made = ceremonies.new_challenge(ctx, "add", "session")
    assert ceremonies.why_not_valid(ctx, "add", "session", made) == ""
    assert ceremonies.why_not_valid(ctx, "reauthenticate", "session", made)
    assert ceremonies.why_not_valid(ctx, "sign-in", "session", made)
    assert ceremonies.why_not_valid(ctx, "add", "another", made)
    for wrong in ("", "A", made[:-1], made + "A", altered(made, 0), altered(made, 30), "ä"):
        assert ceremonies.why_not_valid(ctx, "add", "session", wrong), wrong
    app.clock.advance(600)
    assert ceremonies.why_not_valid(ctx, "add", "session", made)


async def test_no_one_holds_one_without_a_cookie_or_session(app: App) -> None:
    ctx = RequestContext(app.services, "request", "192.0.2.1", "")
    assert ceremonies.why_not_valid(ctx, "sign-in", "", ceremonies.new_challenge(ctx, "sign-in", ""))
