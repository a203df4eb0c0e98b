"""Every error code of the API is caused over HTTP as documented."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.support.application import App, running
from tests.support.envelope import REFUSALS, check_refusal, check_success
from tests.support.faults import sign_in_has_a_bug
from tests.support.forged_tokens import altered
from tests.support.matrix import matrix
from tests.support.processes import free_port
from tests.support.system_admins import another, enrolled, sign_in, signed_in_admin

pytestmark = pytest.mark.one_store

Test = Callable[[App], Awaitable[None]]
CODES: dict[str, tuple[int, Test]] = {}
#: Codes that need separate settings (tests/http/licence, test_overload.py), or pages (tests/sign_in/test_console).
ELSEWHERE = {
    "REAUTHENTICATION_REQUIRED": 403,
    "LICENSE_REQUIRED": 403,
    "LICENSE_EXPIRED": 403,
    "LICENSE_INVALID": 400,
    "OVERLOADED": 503,
}


def produces(code: str, status: int) -> Callable[[Test], Test]:
    def keep(test: Test) -> Test:
        CODES[code] = (status, test)
        return test

    return keep


@produces("INVALID_CREDENTIALS", 401)
async def _wrong_password_unknown_email_unknown_client(app: App) -> None:
    replies = [
        await app.sign_in(password="not the password"),
        await app.sign_in("nobody@acme.example"),
        await app.sign_in(client="globex"),
        await app.sign_in(client="no-such-client"),
        await app.sign_in("not an address"),
    ]
    bodies = set()
    for reply in replies:
        check_refusal(reply, 401, "INVALID_CREDENTIALS", message="Invalid email or password")
        bodies.add(reply.text.replace(reply.headers["x-request-id"], ""))
    assert len(bodies) == 1


@produces("MFA_REQUIRED", 401)
async def _the_first_factor_was_right_and_the_second_is_due(app: App) -> None:
    me = await another(await signed_in_admin(app))
    name, phone = me.username, await enrolled(me)
    error = check_refusal(await sign_in(app, name), 401, "MFA_REQUIRED")
    assert [detail["field"] for detail in error["details"]] == ["otp"]
    body = {"challenge": error["challenge"], "otp": phone.code()}
    assert check_success(await app.post("/api/admin/auth/sign-in/continue", body))["admin"]["username"] == name


@produces("UNAUTHENTICATED", 401)
async def _no_credential(app: App) -> None:
    check_refusal(await app.get("/api/client/auth/me"), 401, "UNAUTHENTICATED")
    check_refusal(await app.post("/api/client/auth/sign-out"), 401, "UNAUTHENTICATED")
    check_refusal(await app.get("/api/admin/clients"), 401, "UNAUTHENTICATED")


@produces("INVALID_TOKEN", 401)
async def _malformed_forged_revoked_or_of_another_kind(app: App) -> None:
    data = (await app.sign_in()).data
    head, body, signature = data["token"].split(".")
    forged = f"{head}.{body}.{altered(signature, -2)}"
    for token in ("x", "a.b.c", forged, f"{head}.{body}.", data["refreshToken"], "x" * 9000):
        check_refusal(await app.me(token), 401, "INVALID_TOKEN")
    check_refusal(await app.refresh(data["token"]), 401, "INVALID_TOKEN")
    check_success(await app.post("/api/client/auth/sign-out", token=data["token"]))
    check_refusal(await app.me(data["token"]), 401, "INVALID_TOKEN")


@produces("TOKEN_EXPIRED", 401)
async def _access_and_refresh_token_after_their_time(app: App) -> None:
    data = (await app.sign_in()).data
    app.clock.advance(24 * 3600)
    check_refusal(await app.me(data["token"]), 401, "TOKEN_EXPIRED", message="Token has expired")
    app.clock.advance(29 * 24 * 3600)
    check_refusal(await app.refresh(data["refreshToken"]), 401, "TOKEN_EXPIRED", message="Token has expired")


@produces("FORBIDDEN", 403)
async def _client_id_disagrees_or_cookie_from_another_site(app: App) -> None:
    signed_in = await app.sign_in()
    reply = await app.me(signed_in.data["token"], headers={"X-Client-ID": "globex"})
    check_refusal(reply, 403, "FORBIDDEN", message="Insufficient permissions")
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    reply = await app.post("/api/client/auth/sign-out", cookie=signed_in.cookie("session"), headers=headers)
    check_refusal(reply, 403, "FORBIDDEN", message="Insufficient permissions")


@produces("ACCOUNT_DISABLED", 403)
async def _deactivated_and_the_right_password(app: App) -> None:
    admin = await app.admin_token()
    user = f"/api/admin/clients/acme/users/{app.ids['viewer@acme.example']}"
    check_success(await app.post(f"{user}/deactivate", token=admin))
    check_refusal(await app.sign_in("viewer@acme.example"), 403, "ACCOUNT_DISABLED")
    check_refusal(await app.sign_in("viewer@acme.example", "wrong one"), 401, "INVALID_CREDENTIALS")
    check_success(await app.post(f"{user}/restore", token=admin))
    check_success(await app.sign_in("viewer@acme.example"))


@produces("VALIDATION_ERROR", 400)
async def _bad_json(app: App) -> None:
    check_refusal(await app.send("POST", "/api/client/auth/sign-in", content=b"{"), 400, "VALIDATION_ERROR")


@produces("NOT_FOUND", 404)
async def _no_such_path_or_object(app: App) -> None:
    check_refusal(await app.get("/nowhere"), 404, "NOT_FOUND")
    check_refusal(await app.get("/api/admin/clients/no-such", token=await app.admin_token()), 404, "NOT_FOUND")


@produces("METHOD_NOT_ALLOWED", 405)
async def _get_of_sign_in(app: App) -> None:
    reply = await app.get("/api/client/auth/sign-in")
    check_refusal(reply, 405, "METHOD_NOT_ALLOWED")
    assert reply.headers["allow"] == "POST"


@produces("PAYLOAD_TOO_LARGE", 413)
async def _over_64_kib(app: App) -> None:
    content = b" " * (64 * 1024 + 1)
    check_refusal(await app.send("POST", "/api/client/auth/sign-in", content=content), 413, "PAYLOAD_TOO_LARGE")


@produces("UNSUPPORTED_MEDIA_TYPE", 415)
async def _a_form(app: App) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = await app.send("POST", "/api/client/auth/sign-in", content=b"a=b", headers=headers)
    check_refusal(reply, 415, "UNSUPPORTED_MEDIA_TYPE")


@produces("CONFLICT", 409)
async def _identifier_taken(app: App) -> None:
    body = {"identifier": "acme", "name": "Another"}
    check_refusal(await app.post("/api/admin/clients", body, token=await app.admin_token()), 409, "CONFLICT")


@produces("RATE_LIMITED", 429)
async def _too_many_guesses(app: App) -> None:
    for path, body in (
        ("/api/client/auth/sign-in", {"email": "guessed@acme.example", "password": "guess"}),
        ("/api/admin/auth/sign-in", {"username": "guessed", "password": "guess"}),
    ):
        replies = [await app.post(path, body) for _ in range(8)]
        assert {reply.code for reply in replies[:5]} == {"INVALID_CREDENTIALS"}
        check_refusal(replies[-1], 429, "RATE_LIMITED")
        wait = replies[-1].headers["retry-after"]
        assert wait.isdigit()
        assert int(wait) >= 1
        app.clock.advance(int(wait))
        assert (await app.post(path, body)).code == "INVALID_CREDENTIALS"


@produces("SSO_FAILED", 401)
async def _no_state_of_ours_no_response_of_anybodys_no_code(app: App) -> None:
    auth = "/api/client/auth"
    check_refusal(await app.get(f"{auth}/oidc/callback?state=unknown&code=x"), 401, "SSO_FAILED")
    check_refusal(await app.post(f"{auth}/okta-saml", {"samlResponse": "bm8gWE1M"}), 401, "SSO_FAILED")
    check_refusal(await app.post(f"{auth}/exchange", {"code": "unknown"}), 401, "SSO_FAILED")


@produces("PROVIDER_UNAVAILABLE", 502)
async def _no_one_listens_at_the_issuers_address(app: App) -> None:
    oidc = {"issuer": f"http://127.0.0.1:{free_port()}", "clientId": "x"}
    made = await app.post(
        "/api/admin/clients/acme/providers", {"name": "gone", "oidc": oidc}, token=await app.admin_token()
    )
    check_success(made, 201)
    check_refusal(await app.get("/api/client/auth/oidc?client=acme&provider=gone"), 502, "PROVIDER_UNAVAILABLE")


@produces("INTERNAL_ERROR", 500)
async def _a_bug(app: App) -> None:
    with pytest.MonkeyPatch.context() as patch:
        sign_in_has_a_bug(patch)
        check_refusal(await app.sign_in(), 500, "INTERNAL_ERROR")


@matrix("code", CODES)
async def test_the_code_is_produced_with_its_status(database_url: str, code: str) -> None:
    status, produce = CODES[code]
    assert REFUSALS[code] == status
    async with running(database_url) as app:
        if not app.ids:
            page = await app.get("/api/admin/clients/acme/users", token=await app.admin_token())
            app.ids |= {user["email"]: user["id"] for user in page.data["items"]}
        await produce(app)


def test_every_error_code_has_a_test_and_there_are_no_others() -> None:
    assert REFUSALS.keys() == CODES.keys() | ELSEWHERE.keys()
    assert {code: REFUSALS[code] for code in ELSEWHERE} == ELSEWHERE
