"""Uses a provider kind that consists of one module and a line, over HTTP and on the console's pages.

``python -m tests.architecture.new_kind`` runs where the product's modules have the kind ``example`` from CONTRIBUTING;
``test_contributing`` runs it that way.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from tests.http.pages.console.provider_wizard import LIST, NEW, Wizard, wizard
from tests.support.application import App, running
from tests.support.single_sign_on import add_provider

ADDRESS = "https://idp.example/here"
STEPS = ("", "ours", "theirs", "rules", "test", "try", "live")


async def _by_the_api(app: App) -> None:
    made = await add_provider(app, "acme", example={"address": ADDRESS})
    token = (await app.sign_in("admin@acme.example")).data["token"]
    [listed] = (await app.get("/api/client/providers", token=token)).data["items"]
    assert (listed["name"], listed["kind"]) == (made["name"], "example")
    by_hand = await wizard(app, made["name"])
    assert "Example" in (await by_hand.visitor.get(LIST)).text
    for step in STEPS:
        await by_hand.step(step)


async def _by_the_console(app: App) -> None:
    by_hand = await wizard(app, "made-by-hand")
    chosen = await by_hand.visitor.get(NEW)
    assert chosen.links()["Another provider, Example"] == f"{NEW}?preset=example"
    assert "The example's own settings." in chosen.text
    assert (await by_hand.visitor.get(f"{NEW}?preset=example&name={by_hand.name}")).status == 200
    refused = await by_hand.make("example", example__address="")
    assert refused.status == 400
    assert refused.problems
    made = await by_hand.make("example", example__address=ADDRESS, example__clientSecret="hidden-from-all")
    assert made.status == 303, made.reply.text
    shown = await by_hand.step("theirs")
    assert shown.form(f"{by_hand.path}/theirs").fields["example.address"] == ADDRESS
    assert "hidden-from-all" not in shown.reply.text
    await _changes(by_hand, "https://idp.example/there")


async def _changes(by_hand: Wizard, address: str) -> None:
    page = await by_hand.step("theirs")
    typed: dict[str, Any] = {"example.address": address, "example.clientSecret": "new"}
    assert (await by_hand.visitor.submit(page, f"{by_hand.path}/theirs", None, **typed)).status == 303
    assert address in (await by_hand.step("theirs")).reply.text


async def _main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with running(f"sqlite:///{Path(folder, 'test.db')}") as app:
            await _by_the_api(app)
            await _by_the_console(app)


if __name__ == "__main__":
    asyncio.run(_main())
