"""Charts as SVG: bars, stacked by series, side by side or one below another.

Each chart has a table with the same numbers, so that color is never the only way to read a number. A chart is as wide
as its container: ``x`` and widths are percentages, ``y`` and heights are pixels, and texts keep their size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from html import escape
from typing import NamedTuple

from manifest_auth.clients.daily_figures import DAY_MS, KEPT_DAYS
from manifest_auth.text.languages import MarkedText, Words, shown
from manifest_auth.text.languages import marked as _

HEIGHT = 220
_LEFT, _TOP, _BOTTOM = 13, 12, 28
_MOST_LABELS, _ROW = 8, 34
_BAR_TITLE = _("%(label)s: %(number)s %(name)s")
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


class Chart(NamedTuple):
    """A chart. ``labels``: one for each value of a series; ``first``: heading of the labels in the table;
    ``is_of_time``: columns instead of rows, and a table that starts with the newest; ``is_english``: a label that is
    not marked is English."""

    id: str
    title: str
    note: str
    first: str
    series: Sequence[Series]
    labels: Sequence[str]
    is_of_time: bool = False
    is_english: bool = False

    @property
    def is_empty(self) -> bool:
        return not any(any(one.values) for one in self.series)

    @property
    def height(self) -> int:
        return HEIGHT if self.is_of_time else max(1, len(self.labels)) * _ROW


def over_time(
    key: str, title: str, labels: Sequence[str], series: Sequence[Series], *, note: str = "", first: str = _("Day")
) -> Chart:
    """Returns a chart of columns, one for each label, with the series stacked. Labels are oldest first."""
    return by_name(key, title, labels, series, note=note, first=first)._replace(is_of_time=True)


def by_name(
    key: str, title: str, labels: Sequence[str], series: Sequence[Series], *, note: str = "", first: str = _("Name")
) -> Chart:
    """Returns a chart of rows, one for each label, shown above its row, with the series stacked."""
    return Chart(id=key, title=title, note=note, first=first, series=series, labels=labels)


class _Texts(NamedTuple):
    """The texts of a chart in one language, as markup. ``stacks``: its values by label."""

    labels: list[str]
    names: list[str]
    kinds: list[str]
    stacks: list[tuple[int, ...]]
    languages: list[str]
    bar_title: str
    number: Callable[[int], str]

    def bars(self, place: int) -> Iterator[tuple[int, str, str]]:
        """Returns the value, kind, and tooltip of each bar of a label."""
        for value, kind, name in zip(self.stacks[place], self.kinds, self.names, strict=True):
            if value:
                yield value, kind, self.bar_title % {"label": self.labels[place], "number": value, "name": name}


def drawn(chart: Chart, words: Words, number: Callable[[int], str]) -> tuple[str, str]:
    """Returns the content of the chart's SVG, and the rows of its table, as markup. ``number``: formats a number."""
    texts = _Texts(
        labels=[escape(shown(one, words)) for one in chart.labels],
        names=[escape(shown(one.name, words)) for one in chart.series],
        kinds=[one.kind for one in chart.series],
        stacks=list(zip(*(one.values for one in chart.series), strict=True)),
        languages=[
            ' lang="en"' if chart.is_english and not isinstance(one, MarkedText) else "" for one in chart.labels
        ],
        bar_title=escape(shown(_BAR_TITLE, words)),
        number=number,
    )
    rows = [
        f'<tr><th scope="row"{language}>{label}</th>'
        + "".join(
            f'<td class="num" data-label="{name}">{number(value)}</td>'
            for name, value in zip(texts.names, stack, strict=True)
        )
        + "</tr>"
        for label, language, stack in zip(texts.labels, texts.languages, texts.stacks, strict=True)
    ]
    parts = _columns(texts) if chart.is_of_time else _rows(texts)
    return "\n".join(parts), "\n".join(rows[::-1] if chart.is_of_time else rows)


@lru_cache(KEPT_DAYS)
def _places(count: int) -> tuple[str, list[str], list[str]]:
    """Returns the width of a column, and the left ends and middles of so many columns."""
    space = (100 - _LEFT) / max(1, count)
    ends, middles = ([f"{_LEFT + (place + at) * space:.2f}" for place in range(count)] for at in (0.15, 0.5))
    return f"{space * 0.7:.2f}", ends, middles


def _columns(texts: _Texts) -> Iterator[str]:
    count = len(texts.labels)
    top = _round_up(max(map(sum, texts.stacks), default=0))
    inner, base, every = HEIGHT - _TOP - _BOTTOM, HEIGHT - _BOTTOM, -(-count // _MOST_LABELS) or 1
    for n in range(3):
        y, end = base - inner * n // 2, texts.number(top * n // 2)
        yield f'<line class="chart-line" x1="{_LEFT}%" x2="100%" y1="{y}" y2="{y}"/>'
        yield f'<text class="chart-end" x="{_LEFT - 2}%" y="{y + 4}">{end}</text>'
    width, ends, middles = _places(count)
    for place, x in enumerate(ends):
        below, y = 0, base
        for value, kind, title in texts.bars(place):
            below += value
            bottom, y = y, base - inner * below // top
            yield _bar(kind, x, y, width, max(1, bottom - y), title)
    for place in range((count - 1) % every, count, every):
        minor = " chart-minor" if (count - 1 - place) // every % 2 else ""
        yield f'<text class="chart-middle{minor}" x="{middles[place]}%" y="{HEIGHT - 8}">{texts.labels[place]}</text>'


def _rows(texts: _Texts) -> Iterator[str]:
    top = max(map(sum, texts.stacks), default=0) or 1
    for place, label in enumerate(texts.labels):
        x, y = 0.0, place * _ROW + 18
        total = f" · {texts.number(texts.stacks[place][0])}" if len(texts.names) == 1 else ""
        yield f'<text{texts.languages[place]} x="0%" y="{y - 5}">{label}{total}</text>'
        for value, kind, title in texts.bars(place):
            width = 100 * value / top
            yield _bar(kind, f"{x:.2f}", y, f"{width:.2f}", 10, title)
            x += width


def _bar(kind: str, x: str, y: int, width: str, height: int, title: str) -> str:
    box = f'x="{x}%" y="{y}" width="{width}%" height="{height}"'
    return f'<rect class="chart-{kind}" {box}><title>{title}</title></rect>'


@lru_cache(KEPT_DAYS)
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
