"""Charts show bars as percentages of their space, and a table that starts with the newest values."""

from __future__ import annotations

from manifest_auth.pages.charts import Series, by_name, over_time

DAYS = tuple(f"Dec {day}" for day in range(1, 31))


def test_the_table_of_days_begins_with_the_newest_and_every_second_mark_is_minor() -> None:
    chart = over_time(
        "key", "Title", DAYS, [Series("succeeded", "good", range(30)), Series("failed", "bad", range(30))]
    )
    assert chart.rows[0] == ("Dec 30", [29, 29])
    assert [mark.text for mark in chart.marks if not mark.is_minor] == ["Dec 6", "Dec 14", "Dec 22", "Dec 30"]
    assert all(chart.left <= bar.x and bar.x + bar.width <= 100 for bar in chart.bars)


def test_rows_keep_the_order_of_their_names() -> None:
    chart = by_name("key", "Title", ("Passkey", "None"), [Series("users", "accent", (1, 4))])
    assert [label for label, _ in chart.rows] == ["Passkey", "None"]
    assert [bar.width for bar in chart.bars] == [25, 100]
