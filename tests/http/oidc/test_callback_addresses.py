"""Each OpenID provider has its own callback address; the shared one requires `iss` (RFC 9207; RFC 9700, 4.4)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.providers.provider_editors import WHO, editor
from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix
from tests.support.oidc_op import Op, provider
from tests.support.rows import change_rows, rows
from tests.support.rules import rule
from tests.support.single_sign_on import (
    BASE,
    RETURN_TO,
    SHARED_CALLBACK,
    Browser,
    add_oidc,
    begun,
    callback,
    check_no_one_got_in,
    failures,
    query_of,
    with_query,
)

ELSEWHERE = "the response arrived at a different redirect URI"
MARKED = {"sharedCallback": True}
ROLES = {"createUsers": True, "defaultRoles": ["Viewer"]}
pytestmark = [pytest.mark.usefixtures("another_day"), pytest.mark.one_store]


@pytest.fixture
def evil(app: App) -> Iterator[Op]:
    """A provider whose owner wants the other provider's codes."""
    with provider(app.clock) as standing_in:
        yield standing_in


async def gets_in(browser: Browser, address: str) -> None:
    ended = await browser.send("GET", address)
    assert (ended.status, ended.headers["location"]) == (302, RETURN_TO), ended.text


async def begins_at(app: App, client: str, made: dict[str, Any]) -> tuple[Browser, dict[str, str]]:
    browser = Browser(app)
    started = await browser.start("oidc", client=client, provider=made["name"])
    assert started.status == 302, started.text
    return browser, query_of(started)


@rule("OIDC-MIX-UP")
@matrix(
    ("honest_sends_iss", "evil_announces_it", "ways_round", "marked"), list(itertools.product((True, False), repeat=4))
)
async def test_in_no_mix_up_does_the_attackers_provider_get_the_code(
    app: App, op: Op, evil: Op, honest_sends_iss: bool, evil_announces_it: bool, ways_round: bool, marked: bool
) -> None:
    """The victim starts at the attacker's provider, which redirects the browser to the honest one with its own state,
    nonce, and challenge. The honest code returns in a sign-in that started at the attacker's."""
    op.without_iss, evil.without_iss = not honest_sends_iss, not evil_announces_it
    clients = [await new_client(app), await new_client(app)]
    ours, theirs = reversed(clients) if ways_round else clients
    oidc = MARKED if marked else {}
    made = {ours: await add_oidc(app, op, ours, oidc), theirs: await add_oidc(app, evil, theirs, oidc)}
    for registered in (callback(ours, made[ours]["name"]), SHARED_CALLBACK):
        browser, started = await begins_at(app, theirs, made[theirs])
        code = op.code(registered, started["code_challenge"], started["nonce"])
        address = with_query(registered, code=code, state=started["state"], iss=op.issuer if honest_sends_iss else None)
        check_no_one_got_in(await browser.send("GET", address))
        assert (await browser.me()).status == 401
    assert (evil.count("token"), op.count("token")) == (0, 0)
    assert {failed["why"] for failed in await failures(app, theirs)} == {ELSEWHERE}
    assert await failures(app, ours) == []


@rule("OIDC-MIX-UP")
@matrix("sends_iss", [True, False])
async def test_the_address_names_client_and_provider_and_is_the_only_one_that_counts(
    app: App, op: Op, sends_iss: bool
) -> None:
    op.without_iss = not sends_iss
    client, other = await new_client(app), await new_client(app)
    made, sibling = await add_oidc(app, op, client), await add_oidc(app, op, client)
    await add_oidc(app, op, other, name=made["name"])
    own = callback(client, made["name"])
    assert own == f"{BASE}/api/client/auth/oidc/callback/{client}/{made['name']}"
    assert made["serviceProvider"] == {"callbackUrl": own}
    browser, address = await begun(app, op, client, provider=made["name"])
    assert address.startswith(f"{own}?")
    elsewhere = (
        SHARED_CALLBACK,
        callback(client, sibling["name"]),
        callback(other, made["name"]),
        callback(client, made["name"].upper()),
        callback(client, "no-such-provider"),
        f"{BASE}/api/client/auth/ms-dynamics/callback",
    )
    for wrong in elsewhere:
        check_no_one_got_in(await browser.send("GET", address.replace(own, wrong)))
    assert op.count("token") == 0
    assert [failed["why"] for failed in await failures(app, client)] == [ELSEWHERE] * len(elsewhere)
    await gets_in(browser, address)  # nothing was used up
    [redeemed] = [asked for asked in op.asked if asked.endpoint == "token"]
    assert redeemed.form["redirect_uri"] == own


async def test_a_path_of_more_or_fewer_parts_is_no_address_of_ours(app: App) -> None:
    for path in ("/acme", "/7", "/acme/okta/more", "/acme/okta/"):
        reply = await app.get(f"/api/client/auth/oidc/callback{path}?state=x&code=y")
        assert reply.status == 404, path


async def test_a_marked_provider_that_announces_iss_has_the_shared_address(app: App, op: Op) -> None:
    client = await new_client(app)
    made = await add_oidc(app, op, client, MARKED)
    own = callback(client, made["name"])
    assert made["serviceProvider"] == {"callbackUrl": own, "sharedCallbackUrl": SHARED_CALLBACK}
    browser, address = await begun(app, op, client)
    assert address.startswith(f"{SHARED_CALLBACK}?")
    check_no_one_got_in(await browser.send("GET", address.replace(SHARED_CALLBACK, own)))
    await gets_in(browser, address)
    [redeemed] = [asked for asked in op.asked if asked.endpoint == "token"]
    assert redeemed.form["redirect_uri"] == SHARED_CALLBACK


async def test_a_marked_provider_that_announces_no_iss_has_its_own(app: App, op: Op) -> None:
    op.without_iss = True
    client = await new_client(app)
    made = await add_oidc(app, op, client, MARKED)
    browser, address = await begun(app, op, client)
    assert address.startswith(f"{callback(client, made['name'])}?")
    assert "iss=" not in address
    await gets_in(browser, address)


@rule("OIDC-MIX-UP")
@matrix("oidc", [MARKED, {}])
@matrix("iss", [None, "", "https://evil.example", "null", "{}/", "{}?x", "{} ", "HTTP{4}"])
async def test_iss_is_required_where_it_was_announced_and_compared_character_by_character(
    app: App, op: Op, oidc: dict[str, Any], iss: str | None
) -> None:
    client = await new_client(app)
    await add_oidc(app, op, client, oidc)
    browser, address = await begun(app, op, client)
    wrong = iss and iss.replace("{4}", op.issuer[4:]).replace("{}", op.issuer)
    check_no_one_got_in(await browser.send("GET", with_query(address, iss=wrong)))
    assert op.count("token") == 0
    assert [failed["why"] for failed in await failures(app, client)] == [ELSEWHERE]
    await gets_in(browser, address)


async def test_an_iss_that_was_not_announced_is_compared_all_the_same(app: App, op: Op) -> None:
    op.announced["authorization_response_iss_parameter_supported"] = None
    client = await new_client(app)
    await add_oidc(app, op, client)
    browser, address = await begun(app, op, client)
    check_no_one_got_in(await browser.send("GET", with_query(address, iss="https://evil.example")))
    assert op.count("token") == 0
    await gets_in(browser, with_query(address, iss=None))
    browser, address = await begun(app, op, client)
    await gets_in(browser, address)


@rule("OIDC-MIX-UP")
@matrix("announced_later", [True, False])
async def test_a_provider_that_changes_its_description_in_the_meantime_gains_nothing(
    app: App, op: Op, announced_later: bool
) -> None:
    """The rule from the start of the sign-in still applies, even to the token request."""
    op.without_iss = announced_later
    client = await new_client(app)
    made = await add_oidc(app, op, client, MARKED)
    await begun(app, op, client)
    app.clock.advance(3500)  # published documents are cached for an hour
    browser, address = await begun(app, op, client)
    assert op.count("discovery") == 1
    op.without_iss = not op.without_iss
    app.clock.advance(200)
    began_at = callback(client, made["name"]) if announced_later else SHARED_CALLBACK
    assert address.startswith(f"{began_at}?")
    # the response that the provider sent before it changed
    if not announced_later:
        check_no_one_got_in(await browser.send("GET", with_query(address, iss=None)))
    await gets_in(browser, address)
    assert op.count("discovery") == 2
    [redeemed] = [asked for asked in op.asked if asked.endpoint == "token"]
    assert redeemed.form["redirect_uri"] == began_at


@matrix("sends_iss", [True, False])
async def test_an_error_too_must_come_to_the_right_address(app: App, op: Op, sends_iss: bool) -> None:
    op.without_iss, op.error = not sends_iss, "access_denied"
    client = await new_client(app)
    made = await add_oidc(app, op, client)
    browser, address = await begun(app, op, client)
    check_no_one_got_in(await browser.send("GET", address.replace(callback(client, made["name"]), SHARED_CALLBACK)))
    check_no_one_got_in(await browser.send("GET", address))
    assert [failed["why"] for failed in await failures(app, client)] == [ELSEWHERE, "redirect: access_denied"]


@rule("OIDC-MIX-UP")
@matrix("who", WHO)
async def test_only_an_admin_marks_a_provider_for_the_shared_address(app: App, op: Op, who: str) -> None:
    caller = await editor(app, who, await new_client(app))
    may = who != "User Admin"
    oidc = {"issuer": op.issuer, "clientId": op.client_id}
    made = await caller.create("marked", oidc={**oidc, **MARKED}, **ROLES)
    unmarked = await caller.make(name="unmarked", oidc=oidc, **ROLES)
    assert unmarked["oidc"]["sharedCallback"] is False
    marked = await caller.send("PATCH", "/unmarked", {"oidc": MARKED})
    if may:
        assert check_success(made, 201)["oidc"]["sharedCallback"] is True
        assert check_success(marked)["serviceProvider"]["sharedCallbackUrl"] == SHARED_CALLBACK
    else:
        for refused in (made, marked):
            assert "Only an Admin" in check_refusal(refused, 403, "FORBIDDEN")["message"]
        assert check_success(await caller.send("GET", "/unmarked"))["oidc"]["sharedCallback"] is False


async def test_a_user_admin_keeps_and_takes_a_mark_but_moves_none_to_another_issuer(app: App, op: Op) -> None:
    client = await new_client(app)
    made = await add_oidc(app, op, client, MARKED)
    caller = await editor(app, "User Admin", client)
    one = f"/{made['name']}"
    assert check_success(await caller.send("PATCH", one, {"displayName": "Company"}))["reachesAdmins"] is True
    changed = check_success(await caller.send("PATCH", one, {"oidc": {"groupClaim": "teams", **MARKED}}))
    assert (changed["oidc"]["sharedCallback"], changed["reachesAdmins"]) == (True, False)
    moved = {"issuer": "https://other.example", "clientSecret": "x"}
    check_refusal(await caller.send("PATCH", one, {"oidc": moved}), 403, "FORBIDDEN")
    taken = check_success(await caller.send("PATCH", one, {"oidc": {"sharedCallback": False}}))
    assert taken["serviceProvider"] == {"callbackUrl": callback(client, made["name"])}
    check_refusal(await caller.send("PATCH", one, {"oidc": MARKED}), 403, "FORBIDDEN")


@matrix("member", [{"sharedCallback": True}, {"ownCallback": True}, {"ownCallback": False}, {}])
@matrix("sends_iss", [True, False])
async def test_a_provider_that_an_upgrade_left_signs_people_in(
    app: App, op: Op, member: dict[str, bool], sends_iss: bool
) -> None:
    """At the shared address if it's marked and announces `iss`, or else once its own address is registered. A removed
    member is ignored."""
    op.without_iss = not sends_iss
    client = await new_client(app)
    made = await add_oidc(app, op, client)

    [(text,)] = await rows(app, "providers", "settings", id=made["id"])
    settings = json.loads(text)
    del settings["oidc"]["sharedCallback"]
    settings["oidc"] |= member
    text = json.dumps(settings, separators=(",", ":"))
    assert await change_rows(app, "providers", {"id": made["id"]}, settings=text) == 1
    address = SHARED_CALLBACK if sends_iss and member.get("sharedCallback") else callback(client, made["name"])
    op.registered = {address}
    browser, back = await begun(app, op, client)
    assert back.startswith(f"{address}?")
    await gets_in(browser, back)
    caller = await editor(app, "User Admin", client)
    same = check_success(await caller.send("PATCH", f"/{made['name']}", {"displayName": "Company"}))
    assert (same["reachesAdmins"], "ownCallback" in same["oidc"]) == (True, False)
