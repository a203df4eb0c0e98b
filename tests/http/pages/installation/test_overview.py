"""The overview of the installation lists the remaining setup tasks."""

from __future__ import annotations

from pathlib import Path

from tests.support.application import running
from tests.support.background_jobs import backup_noted
from tests.support.system_admins import another, signed_in_admin
from tests.support.visitor import Page, Visitor

MAIL, FACTOR = "Connect a mail server", "Add a second factor to your account"


def tasks(page: Page) -> dict[str, bool]:
    """Whether each task is done, by title."""
    rows = page.tree.xpath("//section[@aria-labelledby='tasks']//li")
    return {str(row.xpath("string(.//*[@class='concern'])")): "Done" in row.xpath("string()") for row in rows}


async def test_a_checklist_stays_until_the_server_is_set_up(tmp_path: Path) -> None:
    async with running(f"sqlite:///{tmp_path / 'store.db'}") as app:
        visitor = await Visitor(app).system_admin()
        page = await visitor.get("/installation")
        open_ones = {FACTOR: False, "Add a second system admin": False, MAIL: False, "Back up the database": False}
        assert tasks(page) == open_ones | {"Create your first client": True}
        assert "1 of 5 done" in page.text
        assert (await visitor.get(page.links()["Back up the database"])).heading == "Backups"
        await another(await signed_in_admin(app))
        assert tasks(await visitor.get("/installation"))["Add a second system admin"]
        await backup_noted(app)
        page = await visitor.get("/installation")
        assert tasks(page) == {}
        for left in (MAIL, FACTOR):
            assert left in page.text  # the server works without it, so a recommendation remains
