"""Geometry of the charts that templates draw as SVG: bars, stacked by series, side by side or one below another.

Each chart has a table with the same numbers, so that color is never the only way to read a number. A chart is as wide
as its container: ``x`` and widths are percentages, ``y`` and heights are pixels, and texts keep their size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from manifest_auth.clients.daily_figures import DAY_MS
from manifest_auth.text.languages import marked as _

HEIGHT = 220
_LEFT, _TOP, _BOTTOM = 13, 12, 28
_MOST_LABELS, _ROW = 8, 34
_MONTHS = (
    _("Jan"),
    _("Feb"),
    _("Mar"),
    _("Apr"),
    _("May"),
    _("Jun"),
    _("Jul"),
    _("Aug"),
    _("Sep"),
    _("Oct"),
    _("Nov"),
    _("Dec"),
)


class Series(NamedTuple):
    """A series of a chart. ``kind``: the class of its color: ``good``, ``bad``, ``note``, ``accent`` or ``quiet``."""

    name: str
    kind: str
    values: Sequence[int]


class Bar(NamedTuple):
    """A bar of a chart. ``title``: the tooltip."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


class Mark(NamedTuple):
    """A label of an axis, centered on what it names. ``is_minor``: omitted in a narrow chart."""

    x: float
    y: float
    text: str | int
    is_minor: bool = False


class Chart(NamedTuple):
    """A chart. ``labels``: one for each value of a series; ``unit``: what is counted; ``first``: heading of the labels
    in the table; ``rows``: rows of the table, newest first if the labels are times; ``is_english``: a label that is not
    marked is English."""

    id: str
    title: str
    note: str
    first: str
    series: tuple[Series, ...]
    labels: tuple[str, ...]
    bars: tuple[Bar, ...]
    lines: tuple[Mark, ...]
    marks: tuple[Mark, ...]
    height: int = HEIGHT
    left: int = _LEFT
    is_english: bool = False

    @property
    def is_empty(self) -> bool:
        return not any(any(one.values) for one in self.series)

    @property
    def rows(self) -> list[tuple[str, list[int]]]:
        rows = [(label, [one.values[place] for one in self.series]) for place, label in enumerate(self.labels)]
        return rows[::-1] if self.lines else rows


def over_time(
    key: str, title: str, labels: Sequence[str], series: Iterable[Series], *, note: str = "", first: str = _("Day")
) -> Chart:
    """Returns a chart of columns, one for each label, with the series stacked. Labels are oldest first."""
    shown = tuple(series)
    top = _round_up(max((sum(values) for values in zip(*(one.values for one in shown), strict=True)), default=0))
    space, inner = (100 - _LEFT) / max(1, len(labels)), HEIGHT - _TOP - _BOTTOM
    bars, marks, every = [], [], -(-len(labels) // _MOST_LABELS)
    for place, label in enumerate(labels):
        x, y = _LEFT + place * space, float(HEIGHT - _BOTTOM)
        for one in shown:
            height = inner * one.values[place] / top
            y -= height
            if height:
                title_ = _("%(label)s: %(number)s %(name)s", label=label, number=one.values[place], name=one.name)
                bars.append(
                    Bar(
                        x=_to(x + space * 0.15),
                        y=_to(y),
                        width=_to(space * 0.7),
                        height=_to(height),
                        kind=one.kind,
                        title=title_,
                    )
                )
        from_last, left_over = divmod(len(labels) - 1 - place, every)
        if not left_over:
            marks.append(Mark(_to(x + space / 2), HEIGHT - 8, label, is_minor=from_last % 2 == 1))
    lines = tuple(Mark(_LEFT - 2, _to(HEIGHT - _BOTTOM - inner * n / 2), top * n // 2) for n in range(3))
    return Chart(
        id=key,
        title=title,
        note=note,
        first=first,
        series=shown,
        labels=tuple(labels),
        bars=tuple(bars),
        lines=lines,
        marks=tuple(marks),
    )


def by_name(
    key: str, title: str, labels: Sequence[str], series: Iterable[Series], *, note: str = "", first: str = _("Name")
) -> Chart:
    """Returns a chart of rows, one for each label, shown above its row, with the series stacked."""
    shown = tuple(series)
    top = max((sum(values) for values in zip(*(one.values for one in shown), strict=True)), default=0) or 1
    bars, marks = [], []
    for place, label in enumerate(labels):
        x, y = 0.0, place * _ROW + 18
        marks.append(Mark(0, y - 5, label))
        for one in shown:
            width = 100 * one.values[place] / top
            if width:
                title_ = _("%(label)s: %(number)s %(name)s", label=label, number=one.values[place], name=one.name)
                bars.append(Bar(x=_to(x), y=y, width=_to(width), height=10, kind=one.kind, title=title_))
            x += width
    return Chart(
        id=key,
        title=title,
        note=note,
        first=first,
        series=shown,
        labels=tuple(labels),
        bars=tuple(bars),
        lines=(),
        marks=tuple(marks),
        height=max(1, len(labels)) * _ROW,
    )


def day_name(day: int) -> str:
    """Returns a day since 1970, as ``Dec 1``."""
    at = datetime.fromtimestamp(day * DAY_MS / 1000, UTC)
    return _("%(month)s %(day)s", month=_MONTHS[at.month - 1], day=at.day)


def _round_up(number: int) -> int:
    """Returns the end of an axis: 1, 2 or 5 times a power of ten, and even, so that its middle is whole."""
    power = 1
    while True:
        for step in (2, 4, 10):
            if number <= step * power:
                return step * power
        power *= 10


def _to(number: float) -> float:
    return round(number, 2)
