"""With only the console's pages, Entra ID, Dynamics, and Power Apps are set up in six steps, and errors are named."""

from __future__ import annotations

import itertools

import pytest

from tests.http.pages.console.provider_wizard import NEW, Wizard, facts, flow_cookies, groups
from tests.interop.microsoft.fixtures import setup, shared_setup
from tests.interop.microsoft.microsoft_setup import MicrosoftSetup
from tests.interop.microsoft.people import ORGANIZATION, OUR_SECRET, OURS, POWER_APP
from tests.support.accounts import new_client
from tests.support.directory_claims import directory_counts
from tests.support.matrix import matrix
from tests.support.oidc_socket import Answer
from tests.support.people import member
from tests.support.visitor import Page, Visitor

pytestmark = [pytest.mark.needs("nsd", "unbound"), pytest.mark.one_store]

__all__ = ["setup", "shared_setup"]
GROUP, NOWHERE = "6f7b2d1e-1f0a-4c3e-9a51-0c2f4f7d9b10", "dddddddd-0000-4000-8000-00000000dead"
FABRIKAM = "fafafafa-2222-4222-8222-222222222222"
_numbers = itertools.count(1)


class Console(Wizard):
    """An Admin of a separate client who sets up a provider. ``client`` is the client's identifier, and ``pages`` are
    the steps so far."""

    client: str
    setup: MicrosoftSetup

    async def steps(self, preset: str, **typed: str) -> Page:
        """Complete the first two steps; returns the page of the third."""
        theirs = await self.visitor.get(f"{NEW}?preset={preset}&name={self.name}")
        self.setup.microsoft.login.registrations[OURS].redirect_uris = theirs.tree.xpath("//code/text()")
        fields = {name.replace("__", "."): text for name, text in typed.items()}
        made = await self.visitor.submit(theirs, NEW, None, **fields)
        assert made.status == 303, made.problems
        rules = await self.visitor.follow(made)
        saved = await self.visitor.submit(
            rules,
            f"{self.path}/rules",
            None,
            **{"createUsers": "on", "everyone.Viewer": "on", **groups(**{GROUP: "Author"})},
        )
        return await self.visitor.follow(saved)

    async def try_as(self, user: str) -> Page:
        return await self.come_back(self.setup.microsoft.visit(await self.begin(), user))

    async def live(self, page: Page) -> None:
        assert "On" in (await self.visitor.follow(await self.act("switch-on", page))).text

    async def comes_in(self, path: str, user: str) -> str:
        """The signed-in user after signing in through the provider."""
        browser = Visitor(self.setup.app)
        started = await browser.get(f"/api/client/auth/{path}?client={self.client}&provider={self.name}")
        assert started.status == 302, started.reply.text
        browser.cookies |= flow_cookies(started.reply)
        back = self.setup.microsoft.visit(started.location, user)
        await browser.get(back.removeprefix(self.setup.app.public_url.rstrip("/")))
        return str((await self.setup.app.me(cookie=browser.cookies["session"])).data["user"]["email"])


@pytest.fixture
async def console(setup: MicrosoftSetup) -> Console:
    client = await new_client(setup.app)
    admin = await member(setup.app, client, "Admin")
    made = Console(await Visitor(setup.app).signed_in(admin.email), f"ms-{next(_numbers)}")
    made.client, made.setup = client, setup
    return made


def entra_issuer(setup: MicrosoftSetup, directory: str = "") -> str:
    """Make the stand-in announce its own address as issuer, as the real one does."""
    microsoft, contoso = setup.microsoft, setup.microsoft.named("contoso")
    issuer = f"{microsoft.base}/{directory or contoso.id}/v2.0"
    microsoft.announced = {"issuer": issuer}
    person = {"email": "alice@contoso.example", "given_name": "Alice", "family_name": "Liddell"}
    microsoft.id_claims = {"iss": issuer, "groups": [GROUP], **person}  # claims that the first page says to add
    keys = [{**key, "issuer": issuer} for key in microsoft.login.keys(contoso) if contoso.id in key["issuer"]]
    microsoft.answers["keys"] = Answer.json({"keys": keys})
    return issuer


ENTRA = {"oidc__clientId": OURS, "oidc__clientSecret": OUR_SECRET, "oidc__trustEmail": "on"}


async def test_entra_id_in_three_steps(setup: MicrosoftSetup, console: Console) -> None:
    test = await console.steps("entra", oidc__issuer=entra_issuer(setup), **ENTRA)
    assert test.heading == "Microsoft Entra ID: Test and turn on"
    tested = await console.act("test", test)
    assert "No problems found" in tested.text
    tried = await console.try_as("alice")
    assert "Test sign-in succeeded" in tried.text, tried.text
    assert facts(tried)["Roles"] == "Author, Viewer"
    await console.live(tried)
    assert await console.comes_in("oidc", "alice") == "alice@contoso.example"


@matrix(
    ("wrong", "words"),
    [
        ({"oidc__clientSecret": "not the secret"}, "The client ID or the client secret is incorrect."),
        (
            {"oidc__clientId": NOWHERE},
            "Microsoft Entra ID doesn't know an application with this client ID (AADSTS700016).",
        ),
    ],
)
async def test_a_wrong_value_of_entra_id_is_named(
    setup: MicrosoftSetup, console: Console, wrong: dict[str, str], words: str
) -> None:
    await console.steps("entra", oidc__issuer=entra_issuer(setup), **{**ENTRA, **wrong})
    found = await console.findings()
    assert ("bad", words) in found


async def test_a_directory_of_entra_id_that_there_is_not_is_named(setup: MicrosoftSetup, console: Console) -> None:
    await console.steps("entra", oidc__issuer=entra_issuer(setup, NOWHERE), oidc__unchecked="on", **ENTRA)
    [said] = [text for level, text in await console.findings() if level == "bad"]
    assert NOWHERE in said
    assert "Check the issuer, including the directory (tenant) ID." in said


async def test_dynamics_in_three_steps(setup: MicrosoftSetup, console: Console) -> None:
    directory = setup.microsoft.named("contoso").id
    test = await console.steps(
        "dynamics", dynamics__directory=directory, dynamics__clientId=OURS, dynamics__clientSecret=OUR_SECRET,
        dynamics__organization=ORGANIZATION, dynamics__trustEmail="on",
    )  # fmt: skip
    tested = await console.act("test", test)
    assert "The test can't tell whether it works" in tested.text
    tried = await console.try_as("alice")
    assert "Test sign-in succeeded" in tried.text, tried.text
    await console.live(tried)
    assert await console.comes_in("ms-dynamics", "alice") == "alice@contoso.example"


@matrix(
    ("wrong", "words"),
    [
        ({"dynamics__directory": NOWHERE}, "There is no such directory: "),
        (
            {"dynamics__directory": "fafafafa-2222-4222-8222-222222222222"},
            f"The environment {ORGANIZATION} belongs to a different",
        ),
        ({"dynamics__clientId": NOWHERE}, f"The directory doesn't know the application {NOWHERE}"),
        ({"dynamics__clientSecret": "not the secret"}, "Microsoft rejects the client secret. It is incorrect"),
    ],
)
async def test_a_wrong_value_of_dynamics_is_named(
    setup: MicrosoftSetup, console: Console, wrong: dict[str, str], words: str
) -> None:
    right = {
        "dynamics__directory": setup.microsoft.named("contoso").id, "dynamics__clientId": OURS,
        "dynamics__clientSecret": OUR_SECRET, "dynamics__organization": ORGANIZATION,
    }  # fmt: skip
    await console.steps("dynamics", **{**right, **wrong})
    found = await console.findings()
    assert [text for level, text in found if level == "bad" and text.startswith(words)]


async def test_power_apps_without_a_try(setup: MicrosoftSetup, console: Console) -> None:
    directory = setup.microsoft.named("contoso").id
    test = await console.steps(
        "power-apps", entra__directory=directory, entra__applications=POWER_APP, entra__graphTokens="on"
    )
    assert not [link for link in test.links() if "Try" in link]
    tested = await console.act("test", test)
    await console.live(tested)
    await directory_counts(setup.app, console.client, directory)
    me = await setup.me(setup.microsoft.mint("graph"))
    assert (me["client"]["identifier"], me["roles"]) == (console.client, ["Viewer"])


async def test_a_directory_of_power_apps_that_there_is_not_is_named(console: Console) -> None:
    values = {"entra__directory": NOWHERE, "entra__applications": POWER_APP, "entra__graphTokens": "on"}
    await console.steps("power-apps", **values)
    found = await console.findings()
    assert [text for level, text in found if level == "bad" and text.startswith("There is no such directory: ")]
