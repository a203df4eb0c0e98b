"""Each outage is logged once, and intermittent failures once a minute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from manifest_auth.runtime import logs
from manifest_auth.runtime.logs import Outages
from tests.support.application import running
from tests.support.faults import room_for


class Log:
    """Collects the events, with their level."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        return lambda event, **_: self.told.append((level, event))


LOST, BACK = ("error", "store_lost"), ("warning", "store_back")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which the test moves."""
    at = [0.0]
    monkeypatch.setattr(logs, "monotonic", lambda: at[0])
    return at


def test_one_outage_of_many_requests_is_one_line_and_its_end_another(now: list[float]) -> None:
    log: Any = Log()
    seen = Outages("store", log)
    for kind in ("read", "write", "read"):
        seen.failed(kind, "gone")
    seen.worked("read")
    assert log.told == [LOST]  # nothing can be written yet
    seen.worked("read", "write")
    seen.worked("read", "write")
    assert log.told == [LOST, BACK]
    seen.failed("read", "another reason")
    assert log.told == [LOST, BACK, LOST]


def test_what_fails_now_and_then_is_told_once_a_minute(now: list[float]) -> None:
    log: Any = Log()
    seen = Outages("store", log)
    for second in range(120):
        now[0] = second
        seen.failed("write", "permission denied")
        seen.worked("write")
    assert log.told == [LOST, BACK] * 2
    now[0] = 121
    seen.failed("write", "permission denied")  # and always after this
    now[0] = 180
    seen.failed("write", "permission denied")
    assert log.told == [LOST, BACK] * 2 + [LOST]


async def test_a_full_disk_of_sqlite_is_an_outage_of_writes_alone(tmp_path: Path) -> None:
    async with running(f"sqlite:///{tmp_path / 'm.db'}") as app:
        log: Any = Log()
        app.services.store._outages.log = log
        token = (await app.sign_in()).data["token"]
        with room_for(4096):
            for _ in range(2):
                assert (await app.sign_in()).code == "OVERLOADED"
                assert (await app.me(token)).status == 200
            warned = (await app.get("/readyz")).data
        assert (warned["status"], len(warned["warnings"])) == ("ready", 1)
        assert (await app.sign_in()).status == 200
        assert (await app.get("/readyz")).data == {"status": "ready"}
        assert log.told == [LOST, BACK]
