"""Every outgoing call for a client, at a sign-in or a check, uses the share of that client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from manifest_auth.runtime.outgoing_guard import Shares
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup, Provider
from tests.support.accounts import new_client
from tests.support.background_jobs import check_providers
from tests.support.matrix import matrix
from tests.support.oidc_op import Op, provider
from tests.support.single_sign_on import add_oidc, begun

pytestmark = pytest.mark.one_store


async def _dynamics(setup: MicrosoftSetup, client: str, _op: Op) -> None:
    crm = await setup.dynamics(client)
    _, reply = await crm.sign_in()
    assert reply.status == 302
    await crm.send("POST", "/test")


async def _entra(setup: MicrosoftSetup, client: str, _op: Op) -> None:
    tokens = await setup.entra_of_ours(client)
    await setup.me(setup.microsoft.mint("graph"))
    await setup.me(setup.microsoft.mint("api"))
    await tokens.send("POST", "/test")


async def _oidc(setup: MicrosoftSetup, client: str, op: Op) -> None:
    company = Provider(setup, client, await add_oidc(setup.app, op, client))
    setup.providers.append(company)
    browser, back = await begun(setup.app, op, client)
    assert (await browser.send("GET", back)).status == 302
    await company.send("POST", "/test")


@matrix("use", [_dynamics, _entra, _oidc], ids=lambda use: use.__name__)
async def test_no_call_counts_for_another_client(
    setup: MicrosoftSetup, monkeypatch: pytest.MonkeyPatch, use: Callable[[MicrosoftSetup, str, Op], Awaitable[None]]
) -> None:
    app, client = setup.app, await new_client(setup.app)
    found = await app.send("GET", f"/api/admin/clients/{client}", token=await app.admin_token())
    used, acquire = list[int](), Shares.acquire

    async def note(shares: Shares, tenant_id: int) -> None:
        used.append(tenant_id)
        await acquire(shares, tenant_id)

    monkeypatch.setattr(Shares, "acquire", note)
    with provider(app.clock) as op:
        await use(setup, client, op)
        app.clock.advance(2 * 86_400)
        assert await check_providers(app) >= 1
    assert len(used) > 3
    assert set(used) == {found.data["id"]}
