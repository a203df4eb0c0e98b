"""Rows of CSV files (RFC 4180) that are safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

#: A spreadsheet treats a cell that starts like this as a formula, which can run programs and send the sheet's data
#: away.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def rows(cells: Iterable[Iterable[str]]) -> bytes:
    """Returns rows as bytes. Text that looks like a formula gets an apostrophe before it."""
    text = io.StringIO()
    csv.writer(text).writerows([f"'{one}" if one.startswith(_FORMULA) else one for one in row] for row in cells)
    return text.getvalue().encode()
