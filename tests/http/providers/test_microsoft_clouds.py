"""A provider's login, Graph, and Dataverse addresses belong to one Microsoft cloud, and can't be mixed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.http.providers.provider_editors import WHO, Editor, editor
from tests.http.providers.test_microsoft_providers import DYNAMICS, ENTRA
from tests.support.accounts import new_client
from tests.support.application import App, running
from tests.support.envelope import check_refusal, check_success
from tests.support.matrix import matrix

pytestmark = pytest.mark.one_store

#: Environment URLs in each Microsoft cloud.
ENVIRONMENTS = {
    "global": ["https://contoso.crm.dynamics.com", "https://contoso.crm4.dynamics.com", "https://c.crm11.dynamics.com",
               "https://contoso.crm9.dynamics.com", "https://contoso.api.crm.dynamics.com",
               "https://contoso-sales-2.crm.dynamics.com/"],
    "us-gov": ["https://contoso.crm.microsoftdynamics.us"],
    "us-dod": ["https://contoso.crm.appsplatform.us"],
    "china": ["https://contoso.crm.dynamics.cn"],
}  # fmt: skip
EVERY = [address for addresses in ENVIRONMENTS.values() for address in addresses]
NOWHERE = [
    "", "contoso", "contoso.crm.dynamics.com", "//contoso.crm.dynamics.com", "http://contoso.crm.dynamics.com",
    "HTTPS://contoso.crm.dynamics.com", "https:/contoso.crm.dynamics.com", "https://evil.example",
    "https://contoso.crm.dynamics.com.evil.example", "https://evil.example/contoso.crm.dynamics.com",
    "https://evil.example?contoso.crm.dynamics.com", "https://evil.example#.crm.dynamics.com",
    "https://evil.example\\.crm.dynamics.com", "https://contoso.crm.dynamics.com@evil.example",
    "https://x:y@contoso.crm.dynamics.com", "https://contoso.crm.dynamics.com:443", "https://contoso.crm.dynamics.com:8443",
    "https://contoso.crm.dynamics.com/api", "https://contoso.crm.dynamics.com//", "https://contoso.crm.dynamics.com?x",
    "https://contoso.crm.dynamics.com/#", "https://contoso.crm.dynamics.com.", "https://contoso.crm.dynamics.com\n",
    "https://contoso.crm.dynam\tics.com", " https://contoso.crm.dynamics.com",
    "https://contoso.crm.dynamics.com offline_access",
    "https://CONTOSO.crm.dynamics.com", "https://crm.dynamics.com", "https://.crm.dynamics.com",
    "https://-.crm.dynamics.com", "https://a.b.crm.dynamics.com", "https://contoso.crmx.dynamics.com",
    "https://contoso.crm123.dynamics.com", "https://contoso.dynamics.com", "https://contosocrm.dynamics.com",
    "https://c\u043entoso.crm.dynamics.com", "https://contoso.crm\u3002dynamics.com", "https://127.0.0.1",
    "https://contoso%2ecrm.dynamics.com", "https://contoso.crm.dynamics.com\x00", "x" * 301,
]  # fmt: skip


@matrix("cloud", ENVIRONMENTS)
async def test_an_environment_is_of_the_providers_cloud_and_of_no_other(admin: Editor, cloud: str) -> None:
    for number, address in enumerate(EVERY):
        reply = await admin.create(f"crm-{number}", dynamics={**DYNAMICS, "cloud": cloud, "organization": address})
        if address in ENVIRONMENTS[cloud]:
            assert check_success(reply, 201)["dynamics"]["organization"] == address
        else:
            error = check_refusal(reply, 400, "VALIDATION_ERROR")
            assert error["details"][0]["field"] == "dynamics.organization"
    assert len(await admin.names()) == len(ENVIRONMENTS[cloud])


@matrix("cloud", ["", *ENVIRONMENTS])
async def test_an_address_that_is_no_environment_is_rejected_in_every_cloud(admin: Editor, cloud: str) -> None:
    for address in NOWHERE:
        reply = await admin.create("crm", dynamics={**DYNAMICS, "cloud": cloud, "organization": address})
        error = check_refusal(reply, 400, "VALIDATION_ERROR")
        assert error.get("details", [{"field": "dynamics.organization"}])[0]["field"] == "dynamics.organization", (
            address
        )
    assert await admin.names() == []


async def test_a_cloud_that_this_installation_does_not_have_is_rejected(admin: Editor) -> None:
    for kind, settings in (("dynamics", DYNAMICS), ("entra", ENTRA)):
        for cloud in ("custom", "Global", "germany", "us", 7, None):
            error = check_refusal(
                await admin.create("ms", **{kind: {**settings, "cloud": cloud}}), 400, "VALIDATION_ERROR"
            )
            assert error["details"][0]["field"] == f"{kind}.cloud"


@matrix("who", WHO)
async def test_a_change_cannot_mix_clouds_either(app: App, who: str) -> None:
    caller = await editor(app, who, await new_client(app))
    made = check_success(await caller.create("crm", dynamics=DYNAMICS), 201)
    gov = "https://contoso.crm.microsoftdynamics.us"
    for change in ({"cloud": "us-gov"}, {"organization": gov}, {"cloud": "china", "organization": gov}):
        error = check_refusal(await caller.send("PATCH", "/crm", {"dynamics": change}), 400, "VALIDATION_ERROR")
        assert error["details"][0]["field"] == "dynamics.organization"
    assert check_success(await caller.send("GET", "/crm")) == made
    both = {"cloud": "us-gov", "organization": gov, "clientSecret": "of the other application"}
    assert check_success(await caller.send("PATCH", "/crm", {"dynamics": both}))["dynamics"]["cloud"] == "us-gov"


@pytest.fixture
async def governed(database_url: str, app: App) -> AsyncIterator[App]:
    """The same installation, with providers in a national cloud by default."""
    async with running(database_url, MANIFEST_MICROSOFT_CLOUD="us-gov") as node:
        yield node


async def test_the_installations_cloud_is_that_of_providers_that_name_none(governed: App) -> None:
    caller = await editor(governed, "system admin", await new_client(governed))
    gov = "https://contoso.crm.microsoftdynamics.us"
    refused = await caller.create("crm", dynamics=DYNAMICS)
    assert check_refusal(refused, 400, "VALIDATION_ERROR")["details"][0]["field"] == "dynamics.organization"
    check_success(await caller.create("crm", dynamics={**DYNAMICS, "organization": gov}), 201)
    check_success(await caller.create("world", dynamics={**DYNAMICS, "cloud": "global"}), 201)
    assert sorted(await caller.names()) == ["crm", "world"]
