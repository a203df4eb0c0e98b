"""Writes the pages of docs that are generated from the code.

``python -m manifest_auth.cli.reference [--check] FOLDER``

``--check`` writes nothing and prints the pages that are out of date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from manifest_auth.api.graphql.reference_page import graphql_page
from manifest_auth.audit import catalogue
from manifest_auth.cli import reference_routes
from manifest_auth.cli.reference_pages import errors_page, pages_page, settings_page
from manifest_auth.sign_in.refusal_reasons import reasons_page

PAGES: dict[str, Callable[[], str]] = {
    "errors.md": errors_page,
    "settings.md": settings_page,
    "graphql.md": graphql_page,
    "pages.md": pages_page,
    "providers/reasons.md": reasons_page,
}


#: Hand-written pages with generated parts: functions from the current text to the text they should have.
FILLED: dict[str, Callable[[str], str]] = {
    "reference/http.md": reference_routes.kept,
    "operations/watch.md": lambda text: reference_routes.put(text, "events", catalogue.table()),
}


def stale(folder: Path) -> dict[Path, str]:
    """The pages of ``folder`` that are out of date, with the text that they should have."""
    made = {folder / name: make() for name, make in PAGES.items()}
    made |= {folder / name: fill((folder / name).read_text("utf-8")) for name, fill in FILLED.items()}
    return {path: text for path, text in made.items() if not _is_current(path, text)}


def main() -> int:
    """Exit status 1: ``--check`` found a page that is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    found = stale(given.folder)
    for path, text in found.items():
        if given.check:
            sys.stderr.write(f"{path} is not as the code is: run ./dev docs\n")
        else:
            path.write_text(text, "utf-8")
            sys.stdout.write(f"wrote {path}\n")
    return 1 if found and given.check else 0


def _is_current(page: Path, text: str) -> bool:
    return page.exists() and page.read_text("utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
