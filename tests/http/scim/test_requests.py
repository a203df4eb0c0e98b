"""Requests that aren't accepted get errors in the format of RFC 7644, with the headers of their status."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.http.scim.connecting import BULK, USER, Connection, connect, failed, shown
from tests.support.application import App
from tests.support.rows import rows
from tests.support.single_sign_on import add_provider

pytestmark = pytest.mark.one_store

NOTHING = {"op": "add", "path": "nothing", "value": "x"}
#: Filters and paths that are rejected.
FILTERS = {
    "long": " " * 4_096 + "title pr",
    "terms": " or ".join(['title co "z and z"'] * 21),
    "surrogate": 'userName eq "\\ud800"',
    "nul": 'userName eq "\\u0000"',
}
PATHS = {
    "long": f'emails[type eq "{"x" * 1_024}"].value',
    "terms": f"emails[{' or '.join(['type pr'] * 21)}].value",
    "surrogate": 'emails[type eq "\\ud800"].value',
    "surrogate to store": 'phoneNumbers[type eq "\\uDFFF"].value',
    "nul": 'phoneNumbers[type eq "\\u0000"].value',
}
#: Invalid values of a PATCH, and what the error says of them.
VALUES: dict[str, tuple[object, str]] = {
    "name": ("Zoe", "name: Must be an object"),
    "name.givenName": (5, "givenName: Must be a text"),
    "photos": ([{"value": "x"}], "photos.0.value: Invalid URI: x"),
    "emails": ([{"value": "nobody"}], "emails: Enter a valid email address"),
}


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
    await _check_texts(entra)
    app.clock.advance(60)
    path = f"/Users/{await entra.user('zoe@acme.example')}"
    app.clock.advance(60)
    assert (await entra.patch(path, *[NOTHING] * 1_000)).status == 204  # counts as 100 requests, and the next as 90
    shown(await entra.send("POST", "/Bulk", _bulk(path, 900)))
    for left in range(10):
        assert (await entra.send("GET", "/Users?count=0")).status == 200, left
    assert failed(await entra.send("GET", "/Users?count=0")) == (429, None)
    app.clock.advance(60)
    for left in range(200):
        assert (await okta.send("GET", "/Users?count=0")).status == 200, left
    reply = await okta.send("GET", "/Users?count=0")
    assert (failed(reply), reply.headers["retry-after"]) == ((429, None), "1")
    assert (await entra.send("GET", "/Users?count=0")).status == 200
    app.clock.advance(1)
    assert (await okta.send("GET", "/Users?count=0")).status == 200


async def _check_texts(entra: Connection) -> None:
    """Rejects what would take long, or can't be stored, and says what is wrong with a value."""
    path = f"/Users/{await entra.user('ann@acme.example')}"
    rejected = {"filter": (400, "invalidFilter"), "path": (400, "invalidPath"), "many": (413, None)}
    replies = {
        **{
            f"filter: {name}": await entra.send("POST", "/Users/.search", {"Filter": one})
            for name, one in FILTERS.items()
        },
        **{
            f"filter: {name} in the query": await entra.send("GET", f"/Users?filter={quote(one)}")
            for name, one in FILTERS.items()
        },
        **{
            f"path: {name}": await entra.patch(path, {"op": "add", "path": one, "value": "1"})
            for name, one in PATHS.items()
        },
        **{
            f"path: {name} as a member": await entra.patch(path, {"op": "add", "value": {one: "1"}})
            for name, one in PATHS.items()
        },
        "path: long list": await entra.send("POST", "/Users/.search", {"attributes": ["title"] * 1_000}),
        "many: in PATCH": await entra.patch(path, *[NOTHING] * 1_001),
        "many: in a bulk request": await entra.send("POST", "/Bulk", _bulk(path, 500, 501)),
    }
    wrong = {name: reply.text[:200] for name, reply in replies.items() if reply.status not in (400, 413)}
    assert not wrong
    assert {name: failed(reply) for name, reply in replies.items()} == {
        name: rejected[name.partition(":")[0]] for name in replies
    }
    said = {
        name: await entra.patch(path, {"op": "replace", "path": name, "value": one})
        for name, (one, _) in VALUES.items()
    }
    assert {name: json.loads(reply.text)["detail"] for name, reply in said.items()} == {
        name: text for name, (_, text) in VALUES.items()
    }
    assert shown(await entra.send("GET", f"/Users?startIndex={'9' * 400}"))["totalResults"] == 1


def _bulk(path: str, *numbers: int) -> dict[str, object]:
    """A bulk request of PATCHes with these numbers of operations."""
    patches = [{"method": "PATCH", "path": path, "data": {"Operations": [NOTHING] * number}} for number in numbers]
    return {"schemas": [BULK], "Operations": patches}


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
