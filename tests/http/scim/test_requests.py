"""Requests that aren't accepted get errors in the format of RFC 7644, with the headers of their status."""

from __future__ import annotations

import pytest

from tests.http.scim.connecting import USER, connect, failed, shown
from tests.support.application import App
from tests.support.rows import rows
from tests.support.single_sign_on import add_provider

pytestmark = pytest.mark.one_store


async def test_errors_have_the_shape_of_the_rfc(app: App) -> None:
    okta = await connect(app)
    entra = await connect(app)
    person = okta.admin.token
    for token in (None, "junk", "mfst_scim_" + "A" * 49, entra.token, person, await app.admin_token()):
        reply = await app.get(f"{okta.base}/Users", token=token, cookie=okta.admin.cookie)
        assert (failed(reply), reply.headers["www-authenticate"].partition(" ")[0]) == ((401, None), "Bearer")
    assert shown(await app.get(f"{okta.base}/ServiceProviderConfig"))["bulk"]["maxOperations"] == 100
    sent = {"schemas": [USER], "userName": "zoe@acme.example"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    wrong = [
        (415, None, await okta.send("POST", "/Users", sent, headers=form)),
        (415, None, await okta.send("POST", "/Users", sent, headers={"Content-Encoding": "gzip"})),
        (413, None, await okta.send("POST", "/Users", content=b" " * (1024 * 1024 + 1))),
        (400, "invalidSyntax", await okta.send("POST", "/Users", content=b'{"userName": "a", "userName": "b"}')),
        (400, "invalidSyntax", await okta.send("POST", "/Users", content=b"{")),
        (400, "invalidValue", await okta.send("POST", "/Users", {**sent, "emails": [{"value": "nobody"}]})),
        (413, None, await okta.send("POST", "/Users", {**sent, "nickName": "x" * 33_000})),
        (400, "invalidPath", await okta.patch(f"/Users/{await okta.user('ben@acme.example')}",
                                              {"op": "remove", "path": "emails[["})),
        (404, None, await okta.send("GET", "/Nothing")),
        (405, None, await okta.send("PUT", "/Users", sent)),
        *[(501, None, await okta.send(method, "/Me", sent if method != "GET" else None))
          for method in ("GET", "POST", "PUT", "PATCH", "DELETE")],
        (501, None, await okta.send("GET", "")),
        (501, None, await okta.send("POST", "/.search", {})),
    ]  # fmt: skip
    assert [failed(reply) for _, _, reply in wrong] == [(status, kind) for status, kind, _ in wrong]
    app.clock.advance(60)
    for left in range(200):
        assert (await okta.send("GET", "/Users?count=0")).status == 200, left
    reply = await okta.send("GET", "/Users?count=0")
    assert (failed(reply), reply.headers["retry-after"]) == ((429, None), "1")
    assert (await entra.send("GET", "/Users?count=0")).status == 200
    app.clock.advance(1)
    assert (await okta.send("GET", "/Users?count=0")).status == 200


async def test_an_external_id_is_the_subject_at_the_provider(app: App) -> None:
    okta = await connect(app)
    oidc = {"issuer": "http://127.0.0.1:9/op", "clientId": "c", "clientSecret": "s"}
    await add_provider(app, okta.client, name="company", oidc=oidc)
    await okta.set_up(provider="company")
    number = await okta.user("zoe@acme.example", externalId="sub-1")
    assert failed(await okta.post_user("ben@acme.example", externalId="sub-1")) == (409, "uniqueness")
    for wanted in ("sub-1", "sub-2"):
        if wanted == "sub-2":
            assert (
                await okta.patch(f"/Users/{number}", {"op": "replace", "value": {"externalId": wanted}})
            ).status == 204
        linked = await rows(app, "identities", "subject", "how", "vouched", user_id=int(number))
        assert linked == [(wanted, "scim", 0)]
