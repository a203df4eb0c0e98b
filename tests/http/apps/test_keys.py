"""ID tokens have their own keys, which are rotated and retired by the commands for all keys."""

from __future__ import annotations

from tests.http.apps.relying import parts, relying, told
from tests.support.accounts import new_client
from tests.support.application import App
from tests.support.envelope import check_success
from tests.support.people import member
from tests.support.visitor import Visitor

KEYS = "/api/admin/keys"


async def test_they_are_rotated_and_retired_like_all_others(app: App) -> None:
    web = await relying(app, await new_client(app))
    person, visitor = await member(app, web.client), Visitor(app)
    old = (await web.tokens(visitor, person.email))["id_token"]
    kid = parts(old)[0]["kid"]
    rotated = check_success(await app.post(f"{KEYS}/rotate", {"purpose": "id-rs256"}, token=await app.admin_token()))
    assert rotated == {"rotated": ["id-rs256"]}
    new = (await web.tokens(visitor))["id_token"]
    assert parts(new)[0]["kid"] != kid
    for token in (old, new):
        assert (await web.claims(token))["sub"] == str(person.id)
        assert "code" in told(await web.authorize(visitor, id_token_hint=token, prompt="none"))
    other = await member(app, web.client)
    theirs = (await web.tokens(Visitor(app), other.email))["id_token"]
    assert told(await web.authorize(visitor, id_token_hint=theirs))["error"] == "login_required"
    retired = await app.post(f"{KEYS}/{kid}/retire", {"atOnce": True}, token=await app.admin_token())
    assert check_success(retired)["state"] == "expired"
    assert kid not in [key["kid"] for key in (await app.get(f"{web.path}/jwks")).json["keys"]]
    assert told(await web.authorize(visitor, id_token_hint=old))["error"] == "invalid_request"


async def test_the_console_lists_rotates_and_revokes_them(app: App) -> None:
    web, visitor = await relying(app, await new_client(app)), await Visitor(app).system_admin()
    keys = (await app.get(f"{web.path}/jwks")).json["keys"]
    kids = {key["alg"]: key["kid"] for key in keys}
    public = {"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}}
    assert [set(key) - public[key["kty"]] for key in keys] == [{"kty", "kid", "use", "alg"}] * 2  # but never `d`
    page = await visitor.get("/installation/keys")
    assert page.status == 200, page.reply.text
    assert [name for name in ("RS256", "ES256") if f"ID tokens for apps ({name}){kids[name]}" in page.text] == [*kids]
    assert (await visitor.submit(page, "/installation/keys", {"act": "rotate"}, purpose="id-rs256")).status == 303
    assert len((await app.get(f"{web.path}/jwks")).json["keys"]) == 3
    page = await visitor.get("/installation/keys?purpose=id-rs256")
    form = page.form("/installation/keys", act="at-once", key=kids["RS256"])
    asked = await visitor.post(form.action, form.fields)
    assert "Apps can't verify the ID tokens and sign-out notices that they already have." in asked.text
    assert "open session" not in asked.text
    assert (await visitor.submit(asked, "/installation/keys")).status == 303
    assert kids["RS256"] not in [key["kid"] for key in (await app.get(f"{web.path}/jwks")).json["keys"]]
