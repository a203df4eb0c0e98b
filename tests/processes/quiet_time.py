"""A clock for limits of time, which a busy machine does not reach sooner."""

from __future__ import annotations

import re
import time
from pathlib import Path

_PRESSURE = Path("/proc/pressure/cpu")


def quiet_time() -> float:
    """Seconds, to be compared with each other. While processes wait for a processor, a second counts as a quarter, so
    that a server that waits without work is still noticed. Without pressure information in the kernel, it's
    ``time.monotonic``."""
    waited = 0.0
    if _PRESSURE.exists():
        found = re.search(r"^some .*total=(\d+)", _PRESSURE.read_text(), re.MULTILINE)
        waited = int(found[1]) / 1e6 if found else 0.0
    return time.monotonic() - 0.75 * waited
