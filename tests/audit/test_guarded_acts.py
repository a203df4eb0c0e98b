"""The trail rejects an action that failed to require re-authentication, together with all of its changes."""

from __future__ import annotations

import pytest

from manifest_auth import audit
from manifest_auth.audit import Act, Event
from manifest_auth.audit.events import NotAsked
from manifest_auth.context import ANONYMOUS, AdminCaller, Caller, Origin
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import step_up
from tests.support.accounts import trail
from tests.support.application import App
from tests.support.matrix import matrix
from tests.support.roles import principal
from tests.support.rules import rule

ADA, ROOT = principal(user_id=42), AdminCaller("s", 1, "root")
OWN = "user:42"


def request(app: App, caller: Caller) -> RequestContext:
    return RequestContext(app.services, "r", "192.0.2.1", "", caller)


async def do(
    app: App, who: RequestContext | Origin, event: Event, subject: str = "user:7", asks: Act | None = None
) -> int:
    """Record the event after another one in the same transaction; returns the number of additional events."""
    before = len(await trail(app, "acme"))

    def work(unit: TenantUnit) -> None:
        if asks:
            step_up.check(who, asks, needed=False)
        audit.record(unit, app_origin(app), Event.SIGNED_OUT, subject)
        audit.record(unit, who, event, subject)

    try:
        await app.services.store.of(app.ids["acme"]).write(work)
    except NotAsked:
        assert len(await trail(app, "acme")) == before
        raise
    return len(await trail(app, "acme")) - before


def app_origin(app: App) -> Origin:
    return Origin(app.clock.now_ms(), "system", "", "tests")


@rule("RECENT-PROOF")
@matrix(
    ("caller", "event", "subject", "act"),
    [(ADA, Event.PROVIDER_CHANGED, "provider:1", Act.PROVIDERS),
     (ADA, Event.USER_CREATED, "user:7", Act.RANKS),
     (ADA, Event.DOMAIN_CLAIMED, "domain:x.example", Act.PROVIDERS),
     (ADA, Event.SECOND_FACTOR_REMOVED, OWN, Act.FACTORS),
     (ADA, Event.IDENTITY_UNLINKED, OWN, Act.IDENTITIES),
     (ROOT, Event.CLIENT_DELETION_STARTED, "client:7", Act.DELETION),
     (ROOT, Event.USER_ROLES_CHANGED, "user:7", Act.RANKS),
     (ROOT, Event.PROVIDER_CHANGED, "provider:1", Act.PROVIDERS),
     (ROOT, Event.DOMAIN_VOUCHED, "domain:x.example", Act.DOMAINS),
     (ROOT, Event.SIGNED_OUT_ALL, "admin:1", Act.SESSIONS)],
)  # fmt: skip
async def test_an_action_without_the_reauthentication_check_is_rolled_back(
    app: App, caller: Caller, event: Event, subject: str, act: Act
) -> None:
    with pytest.raises(NotAsked):
        await do(app, request(app, caller), event, subject)
    with pytest.raises(NotAsked):
        await do(app, request(app, caller), event, subject, asks=Act.EXPORT | Act.LICENCE)
    assert await do(app, request(app, caller), event, subject, asks=act) == 2


async def test_other_actions_need_no_check(app: App) -> None:
    assert await do(app, request(app, ADA), Event.IDENTITY_UNLINKED) == 2  # another user's identity
    assert await do(app, request(app, ROOT), Event.SIGNED_OUT_ALL, "client:7") == 2
    assert await do(app, request(app, ANONYMOUS), Event.USER_CREATED) == 2  # a first sign-in at a provider
    assert await do(app, app_origin(app), Event.PROVIDER_CHANGED) == 2  # the command line
