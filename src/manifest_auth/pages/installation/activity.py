"""``/installation/activity``: charts of this server's work in the last hour."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from types import SimpleNamespace

from manifest_auth.http import Answer
from manifest_auth.maintenance import disks, last_backup
from manifest_auth.maintenance.last_backup import OLD_MS
from manifest_auth.pages import charts
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.charts import Series
from manifest_auth.pages.routing import ADMIN_OVERVIEW, admin_page
from manifest_auth.runtime.metrics import LATENCY_BOUNDS, LoadSample
from manifest_auth.services import RequestContext
from manifest_auth.text.languages import marked as _

ACTIVITY_PATH = f"{ADMIN_OVERVIEW}/activity"
_MINUTES, _MINUTE_MS, _HOUR_MS = 60, 60_000, 3_600_000


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    settings, now = ctx.services.settings, ctx.now
    backup_at = await last_backup.read_time(ctx.services.store)
    found = await asyncio.to_thread(disks.disks, settings)
    samples = tuple(ctx.services.metrics.samples)
    return View(
        SimpleNamespace(
            charts=(
                *_of_minutes(samples, now),
                charts.by_name(
                    "disk",
                    _("Disk space"),
                    [str(folder) for folder, _, _ in found],
                    [
                        Series(_("MiB used"), "accent", [used for _, used, _ in found]),
                        Series(_("MiB free"), "quiet", [free for _, _, free in found]),
                    ],
                    first=_("Folder"),
                ),
                _of_backup(None if backup_at is None else max(0, now - backup_at)),
            ),
            since=samples[0].at if samples else 0,
        )
    )


def _of_minutes(samples: Sequence[LoadSample], now: int) -> list[charts.Chart]:
    """Returns charts of the last hour, with one column per minute; minutes without a sample have the value 0."""
    last = now // _MINUTE_MS
    minutes = range(last - _MINUTES + 1, last + 1)
    by_minute: dict[int, list[LoadSample]] = {}
    steps: dict[int, list[tuple[LoadSample, LoadSample]]] = {}
    for before, after in pairwise(samples):
        steps.setdefault(after.at // _MINUTE_MS, []).append((before, after))
    for sample in samples:
        by_minute.setdefault(sample.at // _MINUTE_MS, []).append(sample)

    def gained(of: str) -> list[int]:
        return [sum(getattr(after, of) - getattr(before, of) for before, after in steps.get(m, ())) for m in minutes]

    def most(of: str) -> list[int]:
        return [max((getattr(one, of) for one in by_minute.get(m, ())), default=0) for m in minutes]

    def milliseconds(share: float) -> list[int]:
        return [_quantile([(a.answered, b.answered) for a, b in steps.get(m, ())], share) for m in minutes]

    labels = [f"{datetime.fromtimestamp(m * 60, UTC):%H:%M}" for m in minutes]
    slow, usual = milliseconds(0.95), milliseconds(0.5)
    return [
        charts.over_time(
            "sign-ins",
            _("Sign-ins per minute"),
            labels,
            [
                Series(_("succeeded"), "good", gained("signed_in")),
                Series(_("not completed"), "bad", gained("not_signed_in")),
            ],
            first=_("Minute"),
        ),
        charts.over_time(
            "latency",
            _("Response time"),
            labels,
            [
                Series(_("ms (median)"), "accent", usual),
                Series(
                    _("additional ms (95th percentile)"),
                    "quiet",
                    [a - b for a, b in zip(slow, usual, strict=True)],
                ),
            ],
            note=_("Median and 95th percentile of all requests."),
            first=_("Minute"),
        ),
        charts.over_time(
            "queues",
            _("Queues"),
            labels,
            [
                Series(_("passwords to hash"), "accent", most("hashes")),
                Series(_("emails to retry"), "note", most("mails")),
            ],
            first=_("Minute"),
        ),
    ]


def _quantile(steps: Sequence[tuple[Sequence[int], Sequence[int]]], share: float) -> int:
    """Returns the upper bound, in milliseconds, of the bucket that contains that share of the requests; 0 for none."""
    gained = [sum(after[n] - before[n] for before, after in steps) for n in range(len(LATENCY_BOUNDS) + 1)]
    left = share * sum(gained)
    for number, bound in zip(gained, (*LATENCY_BOUNDS, LATENCY_BOUNDS[-1]), strict=True):
        left -= number
        if left <= 0:
            return max(1, round(bound * 1000)) if any(gained) else 0
    return 0


def _of_backup(age_ms: int | None) -> charts.Chart:
    limit = OLD_MS // _HOUR_MS
    hours = 0 if age_ms is None else age_ms // _HOUR_MS
    return charts.by_name(
        "backup",
        _("Age of the last backup"),
        [_("Last backup"), _("Recommended limit")] if age_ms is not None else [],
        [Series(_("hours"), "bad" if hours > limit else "good", [hours, limit] if age_ms is not None else [])],
        note=_("No backup is recorded.") if age_ms is None else "",
        first=_("Backup"),
    )


ROUTES = (admin_page("GET", ACTIVITY_PATH, _show, "installation/activity.html", "Charts of the server's activity"),)
