"""``python -m manifest_auth.cli.reference [--check] FOLDER``: writes the pages of docs that are made from the code.

``--check`` writes nothing and says which page is not as the code is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from manifest_auth.api.graphql.reference_page import graphql_page
from manifest_auth.cli.reference_pages import errors_page, settings_page
from manifest_auth.sign_in.refusal_reasons import reasons_page

PAGES: dict[str, Callable[[], str]] = {
    "errors.md": errors_page,
    "settings.md": settings_page,
    "graphql.md": graphql_page,
    "providers/reasons.md": reasons_page,
}


def stale(folder: Path) -> list[str]:
    """The pages of ``folder`` that are not as the code is."""
    return [name for name, make in PAGES.items() if not _is(folder / name, make())]


def main() -> int:
    """Exit status 1: ``--check`` found a page that must be made anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    found = stale(given.folder)
    for name in found:
        if given.check:
            sys.stderr.write(f"{given.folder / name} is not as the code is: run ./dev docs\n")
        else:
            (given.folder / name).write_text(PAGES[name](), "utf-8")
    return 1 if found and given.check else 0


def _is(page: Path, text: str) -> bool:
    return page.exists() and page.read_text("utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
