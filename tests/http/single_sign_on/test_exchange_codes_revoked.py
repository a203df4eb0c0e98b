"""Everything that ends a user's sessions revokes unused one-time exchange codes."""

from __future__ import annotations

import asyncio

from tests.support.accounts import act_on
from tests.support.application import App, Reply
from tests.support.envelope import check_success
from tests.support.matrix import matrix
from tests.support.people import OidcProvider, oidc_provider
from tests.support.single_sign_on import act_on_provider, check_no_one_got_in, query_of

OVER = "The code is no longer valid"


async def code_of(company: OidcProvider, sub: str) -> str:
    """A one-time code, as received by an app."""
    _, reply = await company.attempt(sub, f"{sub}@mail.example", query={"response": "code"})
    return query_of(reply)["code"]


async def exchange(app: App, code: str) -> Reply:
    return await app.post("/api/client/auth/exchange", {"code": code})


@matrix("what", ["end of sessions", "end of the client's", "sign-out everywhere", "unlinking"])
async def test_what_ends_all_sessions_of_a_user_ends_the_ones_to_be(app: App, what: str) -> None:
    async with oidc_provider(app) as company:
        data = check_success(await exchange(app, await code_of(company, "ada")))
        code, others, admin = await code_of(company, "ada"), await code_of(company, "eve"), await app.admin_token()
        path = f"/api/admin/clients/{company.client}/users/{data['user']['id']}"
        identity = check_success(await app.get(f"{path}/identities", token=admin))["items"][0]["id"]
        method, address, token = {
            "end of sessions": ("DELETE", f"{path}/sessions", admin),
            "end of the client's": ("DELETE", f"/api/admin/clients/{company.client}/sessions", admin),
            "sign-out everywhere": ("POST", "/api/client/auth/sign-out-all", data["token"]),
            "unlinking": ("DELETE", f"{path}/identities/{identity}", admin),
        }[what]
        check_success(await app.send(method, address, token=token))
        assert check_no_one_got_in(await exchange(app, code)) == OVER
        assert (await exchange(app, others)).status == (401 if what == "end of the client's" else 200)


@matrix("shut", ["the user", "the client", "the provider"])
async def test_a_code_from_before_a_deactivation_is_void_after_the_restore(app: App, shut: str) -> None:
    """Even if nobody used it in between, and it would be valid for some more seconds."""
    async with oidc_provider(app) as company:
        user = check_success(await exchange(app, await code_of(company, "ada")))["user"]["id"]
        code, others = await code_of(company, "ada"), await code_of(company, "eve")
        if shut == "the provider":
            for act in ("switch-off", "switch-on"):
                await act_on_provider(app, company.client, company.name, act)
        else:
            path = f"{company.client}/users/{user}" if shut == "the user" else company.client
            await act_on(app, f"{path}/{'deactivate' if shut == 'the user' else 'suspend'}")
            await act_on(app, f"{path}/restore")
        assert check_no_one_got_in(await exchange(app, code)) == OVER
        if shut == "the user":
            assert check_success(await exchange(app, others))["user"]["email"] == "eve@mail.example"
        else:
            assert check_no_one_got_in(await exchange(app, others)) == OVER
        check_success(await exchange(app, await code_of(company, "ada")))


async def test_both_at_the_same_time_wait_for_each_other_and_not_in_a_circle(app: App) -> None:
    async with oidc_provider(app) as company:
        data = check_success(await exchange(app, await code_of(company, "ada")))
        admin, path = await app.admin_token(), f"/api/admin/clients/{company.client}/users/{data['user']['id']}"
        for _ in range(5):
            codes = [await code_of(company, "ada") for _ in range(4)]
            ending = [app.send("DELETE", f"{path}/sessions", token=admin) for _ in range(3)]
            replies = await asyncio.gather(*[exchange(app, code) for code in codes], *ending)
            assert {reply.status for reply in replies[:4]} <= {200, 401}
            assert [reply.status for reply in replies[4:]] == [200] * 3
            assert [check_no_one_got_in(await exchange(app, code)) for code in codes] == [OVER] * 4
