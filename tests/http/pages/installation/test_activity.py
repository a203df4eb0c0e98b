"""Charts of the installation console show the process's activity, minute by minute."""

from __future__ import annotations

import pytest

from tests.http.pages.console.test_charts import numbers
from tests.support.application import App
from tests.support.background_jobs import sample_load
from tests.support.visitor import Visitor

pytestmark = [pytest.mark.still, pytest.mark.one_store]


async def test_sign_ins_and_times_of_the_last_hour_stand_at_their_minute(app: App) -> None:
    visitor = await Visitor(app).system_admin()
    empty = await visitor.get("/installation/activity")
    assert (empty.status, numbers(empty, "sign-ins")) == (200, {})
    await sample_load(app)
    app.clock.advance(60)
    await app.sign_in("operator@acme.example", "wrong-wrong-wrong")
    for _ in range(2):
        await app.sign_in("operator@acme.example")
    await sample_load(app)
    app.clock.advance(120)
    await sample_load(app)
    page = await visitor.get("/installation/activity")
    assert page.status == 200
    assert list(numbers(page, "sign-ins").values()) == [[2, 1]]
    assert len(numbers(page, "latency")) == 1
    assert len(numbers(page, "disk")) > 0
    assert "No backup is recorded" in page.text
    app.clock.advance(3600)
    later = await (await Visitor(app).system_admin()).get("/installation/activity")
    assert numbers(later, "sign-ins") == {}
