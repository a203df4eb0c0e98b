"""The rules of axe-core (WCAG 2.0 to 2.2, A and AA, and best practices), run on the page in a browser."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from tests.browser.driver import Chromium
from tests.interop.providers import install

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@cache
def _source() -> str:
    folder = install.npm("axe-core", {"dependencies": {"axe-core": "4.14.1"}})
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


def findings(browser: Chromium, only: Sequence[str] = TAGS) -> list[str]:
    """Faults with the affected elements; empty if there are none. ``only`` selects rules by tag or name."""
    if not browser.value("Boolean(window.axe)"):
        browser.value(f"(() => {{ {_source()} }})()")
    asked = json.dumps({"runOnly": only, "resultTypes": ["violations"]})
    found: Any = browser.value(
        f"axe.run(document, {asked}).then(done => done.violations.map("
        "one => [one.id, ...one.nodes.map(node => node.html + ' ' + node.failureSummary)]))"
    )
    return [" | ".join(map(str, one)) for one in found]
