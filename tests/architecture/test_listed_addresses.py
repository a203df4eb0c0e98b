"""A client's origins and return addresses are read in one place, which knows the users they apply to."""

from __future__ import annotations

import re
from pathlib import Path

SRC = Path("src/manifest_auth")
#: The console's form, which shows the lists to their editors.
SHOWN_TO_EDIT = {"pages/console/rules.py"}
_READ = re.compile(r"(?<=\w)(?<!rules)(?<!self)(?<!unconfirmed)(?<!sign_in)\.(allowed_origins|return_addresses)\b")


def test_only_the_clients_package_reads_the_lists() -> None:
    readers = {
        path.relative_to(SRC).as_posix()
        for path in SRC.rglob("*.py")
        if _READ.search(path.read_text("utf-8")) and not path.is_relative_to(SRC / "tenants")
    }
    assert readers == SHOWN_TO_EDIT
    assert _READ.search((SRC / "tenants/origin_index.py").read_text("utf-8"))
