"""Uses a client setting that consists of a type and a member, over HTTP and in the console's form.

``python -m tests.architecture.new_rule`` runs where the product's modules have the setting ``supportHours`` from
CONTRIBUTING; ``test_contributing`` runs it that way.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from tests.support.application import App, running
from tests.support.visitor import Visitor

SETTINGS, RULES, PAGE = "/api/client/settings", "/console/rules", "/console/rules?page=apps"


async def _by_the_api(app: App) -> None:
    token = (await app.sign_in("admin@acme.example")).data["token"]
    assert (await app.get(SETTINGS, token=token)).data["supportHours"] == 0
    changed = await app.send("PATCH", SETTINGS, {"supportHours": 8}, token=token)
    assert changed.data["supportHours"] == 8
    refused = await app.send("PATCH", SETTINGS, {"supportHours": 25}, token=token)
    assert refused.json["error"]["details"] == [{"field": "supportHours", "message": "Must be 24 or less"}]


async def _by_the_console(app: App) -> None:
    visitor = await Visitor(app).signed_in("admin@acme.example")
    page = await visitor.get(PAGE)
    assert page.form(RULES).fields["supportHours"] == "8"
    assert "Hours of support a day" in page.text
    assert "0 to 24." in page.text
    page = await visitor.submit(page, RULES, supportHours="9")
    assert "Users get help for 9 hours a day." in page.text
    assert (await visitor.submit(page, RULES, {"act": "save"})).status == 303
    assert (await visitor.get(PAGE)).form(RULES).fields["supportHours"] == "9"


async def _main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with running(f"sqlite:///{Path(folder, 'test.db')}") as app:
            await _by_the_api(app)
            await _by_the_console(app)


if __name__ == "__main__":
    asyncio.run(_main())
