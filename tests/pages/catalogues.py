"""The catalogs of pages and emails: the existing messages, and their translations.

``python -m tests.pages.catalogues`` updates the ``.po`` files and compiles them (``./dev messages``).

Messages without a translation are shown in English.
"""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from babel.messages import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from manifest_auth.audit.catalogue import Event, label
from manifest_auth.text.languages import FOLDER

SOURCE = Path(__file__).parents[2] / "src" / "manifest_auth"
#: Location of messages → the folder that their file names are relative to.
PLACES = {SOURCE / "pages": SOURCE / "pages", SOURCE / "runtime" / "mail": SOURCE / "runtime", SOURCE: SOURCE}
PLURALS = {
    "es": "nplurals=2; plural=(n != 1);",
    "pt": "nplurals=2; plural=(n > 1);",
    "de": "nplurals=2; plural=(n != 1);",
    "fr": "nplurals=2; plural=(n > 1);",
    "ja": "nplurals=1; plural=0;",
}
_ONE_FORM = ("ja",)
_KEYWORDS: dict[str, tuple[int, ...] | None] = {"_": None, "gettext": None, "ngettext": (1, 2), "several": (1, 2)}
_OPTIONS = {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"}
_NEVER = datetime(2026, 1, 1, tzinfo=UTC)  # so that files are the same on every machine at any time
Message = str | tuple[str, str]


def files() -> list[tuple[Path, Path]]:
    """The files that contain messages, and their names in the catalogs."""
    found: dict[Path, Path] = {}
    for place, start in PLACES.items():
        for path in sorted([*place.rglob("*.py"), *place.rglob("*.html")]):
            found.setdefault(path, path.relative_to(start))
    return list(found.items())


@cache
def messages() -> dict[Message, list[str]]:
    """The files that contain each message, by message or by singular and plural."""
    found: dict[Message, list[str]] = {}
    for path, name in files():
        method = "python" if path.suffix == ".py" else "jinja2.ext:babel_extract"
        for _, message, _, _ in extract_from_file(method, str(path), _KEYWORDS, options=_OPTIONS):
            places = found.setdefault(message if isinstance(message, str) else (message[0], message[1]), [])
            if name.as_posix() not in places:
                places.append(name.as_posix())
    for event in Event:
        found.setdefault(str(label(event.value)), ["audit/catalogue.py"])
    return found


def read(language: str) -> Catalog:
    """A language's stored translations; none if there is no file."""
    path = FOLDER / f"{language}.po"
    if not path.exists():
        return Catalog(language)
    with path.open("rb") as file:
        return read_po(file, language)


def current(language: str) -> Catalog:
    """The translations of exactly the existing messages."""
    before = read(language)
    made = Catalog(language, project="Manifest Auth", creation_date=_NEVER, revision_date=_NEVER, fuzzy=False)
    made.header_comment = "# The messages of pages and emails. ./dev messages keeps the list of messages."
    made.mime_headers = [("Plural-Forms", PLURALS[language])]
    for message, places in sorted(messages().items(), key=lambda item: (item[1][0], str(item[0]))):
        known = before.get(message if isinstance(message, str) else message[0])
        string = known.string if known is not None and known.string else ""
        if not isinstance(message, str) and not string:
            string = ("",) if language in _ONE_FORM else ("", "")
        made.add(message, string, locations=[(place, 0) for place in places])
    return made


def text_of(catalog: Catalog) -> bytes:
    """The text of a ``.po`` file."""
    file = io.BytesIO()
    write_po(file, catalog, width=120, include_lineno=False)
    return file.getvalue()


def compiled(catalog: Catalog) -> bytes:
    """The content of a ``.mo`` file."""
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def main() -> int:
    """Write all files. Exit status 1 means that a translation is missing."""
    FOLDER.mkdir(exist_ok=True)
    missing = 0
    for language in PLURALS:
        catalog = current(language)
        (FOLDER / f"{language}.po").write_bytes(text_of(catalog))
        (FOLDER / f"{language}.mo").write_bytes(compiled(catalog))
        for message in catalog:
            if message.id and not (all(message.string) if isinstance(message.string, tuple) else message.string):
                missing += 1
                sys.stderr.write(f"{language}: {message.id!r} has no translation\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
