"""Sign-out by an app, and notices to apps when a session ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.http.apps.relying import BackChannel, Relying, back_channel, parts, relying, told
from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.background_jobs import send_logout_notices
from tests.support.matrix import matrix
from tests.support.people import Member, member
from tests.support.rules import rule
from tests.support.visitor import Visitor

pytestmark = pytest.mark.still
AFTER = "https://reports.example/bye"
SCOPES = ["openid", "offline_access"]


@pytest.fixture
async def client(app: App) -> str:
    """A client for one test."""
    return await new_client(app)


@pytest.fixture
def channel() -> Iterator[BackChannel]:
    with back_channel() as listening:
        yield listening


async def test_an_id_token_of_this_browser_signs_out_without_a_question(app: App, client: str) -> None:
    web = await relying(app, client, postLogoutRedirectUris=[AFTER])
    person, visitor = await member(app, client), Visitor(app)
    got = await web.tokens(visitor, person.email)
    app.clock.advance(3600)  # the ID token has expired, but not its session
    out = f"{web.path}/logout?id_token_hint={got['id_token']}&post_logout_redirect_uri={AFTER}&state=x%20y"
    page = await visitor.get(out)
    assert (page.status, page.location) == (302, f"{AFTER}?state=x%20y")
    assert "session" not in visitor.cookies
    assert (await web.userinfo(got["access_token"])).status == 401
    assert told(await web.authorize(visitor, prompt="none"))["error"] == "login_required"
    assert (await visitor.get(out)).location == f"{AFTER}?state=x%20y"  # there is no session left to end


@rule("APP-SIGN-OUT")
async def test_any_other_request_asks_first(app: App, client: str) -> None:
    web = await relying(app, client, postLogoutRedirectUris=[AFTER])
    theirs, person, visitor = await member(app, client), await member(app, client), Visitor(app)
    hint, elsewhere = [(await web.tokens(Visitor(app), one.email))["id_token"] for one in (theirs, person)]
    got = await web.tokens(visitor, person.email)
    for query in ("", f"client_id={web.id}", f"id_token_hint={hint}", f"id_token_hint={elsewhere}",
                  "id_token_hint=e30.e30.AAAA",
                  f"id_token_hint={got['access_token']}"):  # fmt: skip
        page = await visitor.get(f"{web.path}/logout?{query}")
        assert page.location.startswith(f"{web.path}/sign-out?"), query
        page = await visitor.follow(page)
        assert person.email in page.text
        assert (await web.userinfo(got["access_token"])).status == 200
    foreign = {"Origin": "https://reports.example", "Sec_Fetch_Site": "cross-site"}
    fields = {"client_id": web.id, "post_logout_redirect_uri": AFTER}
    page = await visitor.follow(await visitor.post(f"{web.path}/logout", fields, **foreign))
    action = f"{web.path}/sign-out"
    forged = page.form(action).fields | {"form": "A" * 60}
    assert (await visitor.post(action, forged)).status == 403
    done = await visitor.post(action, page.form(action).fields)
    assert (done.status, done.heading) == (200, "You're signed out")
    assert done.links()["Continue"] == AFTER
    assert (await web.userinfo(got["access_token"])).status == 401


@rule("APP-SIGN-OUT")
@matrix(
    "address",
    ["https://evil.example/", f"{AFTER}/", f"{AFTER}?x", "https://reports.example/callback", "javascript:alert(1)"],
)
async def test_it_ends_only_at_a_listed_address(app: App, client: str, address: str) -> None:
    web = await relying(app, client, postLogoutRedirectUris=[AFTER])
    other = await relying(app, client, "browser", postLogoutRedirectUris=["https://evil.example/"])
    person, visitor = await member(app, client), Visitor(app)
    hint = (await web.tokens(visitor, person.email))["id_token"]
    for query in (f"id_token_hint={hint}", f"client_id={web.id}", "", f"id_token_hint={hint}&client_id={other.id}"):
        page = await visitor.get(f"{web.path}/logout?{query}&post_logout_redirect_uri={address}")
        assert page.status == 400, query
        assert "session" in visitor.cookies


async def _signs_out(app: App, visitor: Visitor, person: Member, web: Relying) -> None:
    await visitor.submit(await visitor.get("/sign-out"), "/sign-out")


async def _is_disabled(app: App, visitor: Visitor, person: Member, web: Relying) -> None:
    path = f"/api/admin/clients/{web.client}/users/{person.id}/deactivate"
    assert (await app.post(path, token=await app.admin_token())).status == 200


async def _app_goes(app: App, visitor: Visitor, person: Member, web: Relying) -> None:
    path = f"/api/admin/clients/{web.client}/apps/{web.id}"
    assert (await app.send("DELETE", path, token=await app.admin_token())).status == 200


async def _ends_by_itself(app: App, visitor: Visitor, person: Member, web: Relying) -> None:
    app.clock.advance(400 * 86_400)


async def _password_changes(app: App, visitor: Visitor, person: Member, web: Relying) -> None:
    assert (await app.post("/api/client/auth/sign-out-all", token=person.token)).status == 200


@rule("APP-SIGN-OUT")
@matrix("scope", ["openid", "openid offline_access"])
@matrix("ends", [_signs_out, _is_disabled, _app_goes, _ends_by_itself, _password_changes])
async def test_an_app_is_notified_of_every_session_end(
    app: App, client: str, channel: BackChannel, ends: object, scope: str
) -> None:
    web = await relying(app, client, scopes=SCOPES, backchannelLogoutUri=channel.uri)
    person, visitor = await member(app, client), Visitor(app)
    got = await web.tokens(visitor, person.email, scope=scope)
    await send_logout_notices(app)
    assert channel.heard == []
    await ends(app, visitor, person, web)  # type: ignore[operator]  # one of those above
    await send_logout_notices(app)
    [heard] = channel.heard
    assert parts(heard)[0]["typ"] == "logout+jwt"
    told_of = parts(got["id_token"])[1]
    claims = parts(heard)[1]
    if ends is not _app_goes:  # otherwise, the issuer disappears with its last notice
        await web.claims(heard)
    assert {name: claims[name] for name in ("iss", "aud", "sub", "sid")} == {
        name: told_of[name] for name in ("iss", "aud", "sub", "sid")
    }
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert claims.keys() == {"iss", "aud", "sub", "sid", "iat", "exp", "jti", "events"}
    await send_logout_notices(app)
    assert len(channel.heard) == 1
    page = await visitor.get(f"{web.path}/logout?id_token_hint={heard}")  # not an ID token
    assert page.status in (200, 303)


async def _client_goes(app: App, visitor: Visitor, person: Member, web: Relying) -> None:
    path = f"/api/admin/clients/{web.client}/suspend"
    assert (await app.post(path, token=await app.admin_token())).status == 200


@rule("APP-SIGN-OUT")
@matrix("ends", [_app_goes, _client_goes])
async def test_the_last_notices_of_an_issuer_can_be_verified(
    app: App, client: str, channel: BackChannel, ends: object
) -> None:
    web = await relying(app, client, backchannelLogoutUri=channel.uri)
    person, visitor = await member(app, client), Visitor(app)
    sid = parts((await web.tokens(visitor, person.email))["id_token"])[1]["sid"]
    channel.answers.append(500)
    await ends(app, visitor, person, web)  # type: ignore[operator]  # one of those above
    for tries in (1, 2):
        documents = [await app.get(f"{web.path}/{one}") for one in (".well-known/openid-configuration", "jwks")]
        assert [one.status for one in documents] == [200, 200]
        await send_logout_notices(app)
        assert len(channel.heard) == tries
        if tries == 1:
            assert (await web.claims(channel.heard[0]))["sid"] == sid
        app.clock.advance(5)
    assert (await app.get(f"{web.path}/jwks")).status == 404


@rule("APP-SIGN-OUT")
@matrix("answers", [[200], [500] * 5])
@matrix("ends", [_is_disabled, _ends_by_itself])
async def test_an_app_with_offline_access_is_also_notified_of_its_own_end(
    app: App, client: str, channel: BackChannel, ends: object, answers: list[int]
) -> None:
    web = await relying(app, client, scopes=SCOPES, backchannelLogoutUri=channel.uri, refreshTokenDays=365)
    person, visitor = await member(app, client), Visitor(app)
    got = await web.tokens(visitor, person.email, scope="openid offline_access")
    await _signs_out(app, visitor, person, web)
    channel.answers += answers
    for _ in answers:
        await send_logout_notices(app)
        app.clock.advance(3600)
    assert len(channel.heard) == len(answers)
    assert (await web.refresh(got["refresh_token"])).status == 200
    await ends(app, visitor, person, web)  # type: ignore[operator]  # one of those above
    for _ in range(2):
        await send_logout_notices(app)
    assert [parts(token)[1]["sid"] for token in channel.heard[len(answers) :]] == [parts(got["id_token"])[1]["sid"]]


async def test_a_notification_is_retried_and_then_dropped(app: App, client: str, channel: BackChannel) -> None:
    web = await relying(app, client, backchannelLogoutUri=channel.uri)
    person, visitor = await member(app, client), Visitor(app)
    await web.tokens(visitor, person.email)
    await _signs_out(app, visitor, person, web)
    channel.answers += [500] * 10
    for tries, pause in enumerate((0, 4, 60, 600, 3600), 1):
        if pause:
            app.clock.advance(pause - 1)
            await send_logout_notices(app)
            assert len(channel.heard) == tries - 1
            app.clock.advance(1)
        await send_logout_notices(app)
        assert len(channel.heard) == tries
    app.clock.advance(86_400)
    await send_logout_notices(app)
    assert len(channel.heard) == 5
    assert len({parts(token)[1]["jti"] for token in channel.heard}) == 5


async def test_clients_get_separate_turns(app: App, client: str, channel: BackChannel) -> None:
    for one, users in ((client, 8), (await new_client(app), 1)):
        web = await relying(app, one, backchannelLogoutUri=channel.uri)
        for _ in range(users):
            await web.tokens(Visitor(app), (await member(app, one)).email)
        await app.post(f"/api/admin/clients/{one}/suspend", token=await app.admin_token())
    await send_logout_notices(app)
    heard = [parts(token)[1]["aud"] for token in channel.heard]
    assert (len(heard), heard.count(web.id)) == (7, 1)
    await send_logout_notices(app)
    assert len({parts(token)[1]["sid"] for token in channel.heard}) == 9
