"""Rows of CSV files (RFC 4180) that a spreadsheet can open without harm."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

#: A spreadsheet takes a cell with such a start for a formula, which can run programs and send the sheet's data away.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def rows(cells: Iterable[Iterable[str]]) -> bytes:
    """The bytes of some rows; a text that looks like a formula gets an apostrophe before it."""
    text = io.StringIO()
    csv.writer(text).writerows([f"'{one}" if one.startswith(_FORMULA) else one for one in row] for row in cells)
    return text.getvalue().encode()
