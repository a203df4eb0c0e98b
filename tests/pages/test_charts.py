"""Charts show bars as percentages of their space, and a table that starts with the newest values."""

from __future__ import annotations

from typing import Any

from lxml import html

from manifest_auth.pages.charts import Chart, Series, by_name, drawn, over_time
from manifest_auth.text.languages import catalogue, marked

DAYS = tuple(f"Dec {day}" for day in range(1, 31))


def parts(chart: Chart, language: str = "en") -> tuple[Any, Any]:
    """The SVG and the table of a chart."""
    svg, rows = drawn(chart, catalogue(language), str)
    return html.fromstring(f"<svg>{svg}</svg>"), html.fromstring(f"<table>{rows}</table>")


def percentage(bar: Any, name: str) -> float:
    return float(bar.get(name).removesuffix("%"))


def test_the_table_of_days_begins_with_the_newest_and_every_second_mark_is_minor() -> None:
    svg, table = parts(
        over_time("key", "Title", DAYS, [Series("succeeded", "good", range(30)), Series("failed", "bad", range(30))])
    )
    assert [*table[0].itertext()] == ["Dec 30", "29", "29"]
    assert svg.xpath("text[@class='chart-middle']/text()") == ["Dec 6", "Dec 14", "Dec 22", "Dec 30"]
    bars = svg.xpath("rect")
    assert len(bars) == 58
    assert all(percentage(bar, "x") >= 13 and percentage(bar, "x") + percentage(bar, "width") <= 100 for bar in bars)
    assert all(int(bar.get("y")) >= 12 and int(bar.get("y")) + int(bar.get("height")) <= 192 for bar in bars)


def test_rows_keep_the_order_of_their_names() -> None:
    svg, table = parts(by_name("key", "Title", ("Passkey", "None"), [Series("users", "accent", (1, 4))]))
    assert table.xpath("tr/th/text()") == ["Passkey", "None"]
    assert [percentage(bar, "width") for bar in svg.xpath("rect")] == [25, 100]


def test_texts_are_escaped_and_in_the_language_of_the_page() -> None:
    labels = (marked("Passkey"), '"><script>')
    chart = by_name("key", "Title", labels, [Series(marked("users"), "accent", (1, 4))])._replace(is_english=True)
    svg, rows = drawn(chart, catalogue("de"), str)
    assert "<script" not in svg + rows
    svg, table = parts(chart, "de")
    assert svg.xpath("rect/title/text()") == ["Passkey: 1 Benutzer", '"><script>: 4 Benutzer']
    assert table.xpath("tr/th/@lang") == ["en"]
