"""The provider's ``test`` route calls the provider, and says in a sentence what is wrong.

It works for system admins and clients.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.providers.provider_editors import WHO, Editor, editor, saml_settings
from tests.support.accounts import new_client, trail
from tests.support.application import App
from tests.support.envelope import check_success
from tests.support.matrix import matrix
from tests.support.oidc_op import Op, provider
from tests.support.oidc_socket import Answer
from tests.support.saml_idp import Idp
from tests.support.single_sign_on import callback

pytestmark = pytest.mark.one_store

DAY_MS = 86_400_000
ROLES = {"createUsers": True, "defaultRoles": ["Viewer"]}


ADMINS = [who for who in WHO if who != "User Admin"]


async def findings_of(caller: Editor) -> tuple[bool | None, dict[str, list[str]]]:
    """Whether the provider works (None if unknown), and the messages by level."""
    data = check_success(await caller.send("POST", "/idp/test"))
    assert set(data) == {"works", "findings"}
    by_level: dict[str, list[str]] = {"ok": [], "note": [], "unknown": [], "bad": []}
    for finding in data["findings"]:
        by_level[finding["level"]].append(finding["text"])
    assert data["works"] is (False if by_level["bad"] else None if by_level["unknown"] else True)
    return data["works"], by_level


async def oidc(caller: Editor, op: Op, **settings: Any) -> dict[str, Any]:
    known = {"issuer": op.issuer, "clientId": op.client_id, "clientSecret": op.client_secret, **settings}
    return await caller.make(name="idp", oidc=known, **ROLES)


@matrix("who", ADMINS)
async def test_a_good_openid_provider(app: App, op: Op, who: str) -> None:
    caller = await editor(app, who, await new_client(app))
    await oidc(caller, op)
    before, events = await caller.send("GET", "/idp"), len(await trail(app, caller.client))
    works, said = await findings_of(caller)
    assert works
    assert "The provider knows this client and accepts its authentication." in said["ok"]
    assert (
        f"Register the redirect URI {callback(caller.client, 'idp')}, which belongs only to this provider."
        in said["ok"]
    )
    assert "The redirect URI is registered at the provider." in said["ok"]
    assert said["note"] == []
    assert (await caller.send("GET", "/idp")).data == before.data
    assert len(await trail(app, caller.client)) == events


async def test_what_is_wrong_with_an_openid_provider_is_said(admin: Editor, op: Op) -> None:
    await oidc(admin, op, clientSecret="wrong")
    assert (await findings_of(admin))[1]["bad"] == ["The client ID or the client secret is incorrect."]
    check_success(await admin.send("PATCH", "/idp", {"oidc": {"clientSecret": op.client_secret}}))
    assert (await findings_of(admin))[0]
    op.announced["issuer"] = f"{op.issuer}/"
    assert "differ only in the slash at the end" in (await findings_of(admin))[1]["bad"][0]
    op.announced["issuer"] = "https://evil.example"
    assert (await findings_of(admin))[1]["bad"] == [
        f"The issuer in the provider's metadata is https://evil.example, but {op.issuer} is configured."
    ]
    op.announced = {"token_endpoint": "http://idp.example/token"}
    assert "token_endpoint must begin with https://" in (await findings_of(admin))[1]["bad"][0]
    op.announced = {}
    op.published = {"keys": []}
    assert "None of the keys" in (await findings_of(admin))[1]["bad"][0]
    op.answers["discovery"] = Answer(404)
    [sentence] = (await findings_of(admin))[1]["bad"]
    assert "returned 404" in sentence
    assert "Check the issuer." in sentence


async def test_where_a_wrong_secret_cannot_be_told_nor_can_whether_it_works(admin: Editor, op: Op) -> None:
    op.code_first = True
    for secret in (op.client_secret, "wrong"):
        await oidc(admin, op, clientSecret=secret)
        works, said = await findings_of(admin)
        assert (works, said["note"], len(said["unknown"])) == (None, [], 1)
        check_success(await admin.send("DELETE", "/idp"))


async def test_a_provider_that_is_gone_is_said(app: App, admin: Editor) -> None:
    with provider(app.clock) as gone:
        await oidc(admin, gone)
    works, said = await findings_of(admin)
    assert not works
    assert said["bad"][0].startswith("The provider's metadata can't be fetched: ")


async def test_no_secret_and_no_text_of_the_provider_is_shown(admin: Editor, op: Op) -> None:
    await oidc(admin, op, clientSecret="hush-hush-secret")
    op.answers["token"] = Answer.json({"error": "invalid_client", "error_description": "hush-hush-secret is bad"}, 401)
    assert "hush" not in (await admin.send("POST", "/idp/test")).text


async def test_settings_that_sign_no_one_in_are_said(admin: Editor, op: Op) -> None:
    await oidc(admin, op)
    check_success(await admin.send("PATCH", "/idp", {"defaultRoles": []}))
    assert (await findings_of(admin))[1]["bad"] == [
        "It creates users but grants no roles. Grant roles by group, or to everyone"
    ]
    check_success(await admin.send("PATCH", "/idp", {"createUsers": False}))
    check_success(await admin.send("POST", "/idp/switch-off"))
    works, said = await findings_of(admin)
    assert (works, said["note"][0]) == (True, "The provider is turned off here")


async def saml(caller: Editor, idp: Idp, address: str, **settings: Any) -> None:
    pinned = saml_settings(certificates=[idp.certificate_pem], redirectUrl=address, **settings)
    check_success(await caller.create("idp", saml=pinned, **ROLES), 201)


def aged(app: App, since: int, until: int) -> Idp:
    """A provider with a certificate that is valid between these days from now."""
    now = app.clock.now_ms()
    return Idp(not_before_ms=now + since * DAY_MS, not_after_ms=now + until * DAY_MS)


@matrix("who", ADMINS)
async def test_a_good_saml_provider(app: App, op: Op, who: str) -> None:
    caller = await editor(app, who, await new_client(app))
    await saml(caller, aged(app, -1, 400), f"{op.base}/sso")
    op.answers["unknown"] = Answer(200, {"Content-Type": "text/html"}, b"<html>sign in here</html>")
    works, said = await findings_of(caller)
    assert works
    assert said["ok"][0].startswith("Certificate CN=idp.example (")
    assert "is valid until 20" in said["ok"][0]
    assert said["ok"][1] == "The sign-on URL returns status 200"


CERTIFICATES = {
    "expired": ((-400, -1), "refuse", False, "expired on "),
    "expired, by written policy": ((-400, -1), "accept", True, "still accepted, because of expiredCertificates"),
    "soon expired": ((-400, 29), "refuse", True, "Pin its successor now, in addition to it"),
    "of tomorrow": ((1, 400), "refuse", False, "isn't valid before "),
}


@matrix(("days", "policy", "works", "sentence"), CERTIFICATES.values(), ids=CERTIFICATES)
async def test_what_is_wrong_with_a_certificate_is_said(
    app: App, admin: Editor, op: Op, days: tuple[int, int], policy: str, works: bool, sentence: str
) -> None:
    await saml(admin, aged(app, *days), f"{op.base}/sso", expiredCertificates=policy)
    found, said = await findings_of(admin)
    assert found is works
    assert sentence in said["note"][0]
    if not works:
        assert said["bad"] == ["No pinned certificate is valid today, so every response is rejected"]
        more = {"saml": {"certificates": [aged(app, -1, 400).certificate_pem, aged(app, *days).certificate_pem]}}
        check_success(await admin.send("PATCH", "/idp", more))
        assert (await findings_of(admin))[0]


async def test_a_last_certificate_that_expires_within_a_week_is_bad(app: App, admin: Editor, op: Op) -> None:
    ending, later = (aged(app, *days).certificate_pem for days in ((-400, 6), (1, 400)))
    await saml(admin, aged(app, -400, 6), f"{op.base}/sso")
    works, said = await findings_of(admin)
    assert (works, [text.partition(" after ")[0] for text in said["bad"]]) == (
        False,
        ["No pinned certificate is valid"],
    )
    check_success(await admin.send("PATCH", "/idp", {"saml": {"certificates": [ending, later]}}))
    assert (await findings_of(admin))[0]


SIGN_ON = {
    "a redirect to a login page": (Answer(302, {"Location": "https://login.example/"}), "ok", "sign-on URL responds"),
    "a page that wants more": (Answer(400), "ok", "returns status 400"),
    "a page that is not there": (Answer(404), "note", "status 404. Check whether it is correct"),
    "a fault": (Answer(503), "note", "returns status 503"),
    "no answer": (Answer(raw=b""), "note", "can't reach the sign-on URL"),
}


@matrix(("answer", "level", "sentence"), SIGN_ON.values(), ids=SIGN_ON)
async def test_what_the_sign_on_address_answers_is_said(
    app: App, admin: Editor, op: Op, answer: Answer, level: str, sentence: str
) -> None:
    """It's only a note, because users' browsers must be able to reach the address, not this server."""
    await saml(admin, aged(app, -1, 400), f"{op.base}/sso")
    op.answers["unknown"] = answer
    works, said = await findings_of(admin)
    assert works
    assert sentence in said[level][-1]
