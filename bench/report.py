"""Turns readings into figures, each next to its limit, their ratio, and its target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from bench.apps import BY_APP, BY_PASSWORD, READ_BY_APP, READ_BY_USER
from bench.machine import CORES
from bench.readings import Reading, Readings

HASH_MB = 19456 * 1024 / 1e6
Rule = tuple[str, str, float]  # ratio or value, "≥" or "≤", bound


@dataclass(frozen=True)
class Figure:
    """A row of the table. ``ratio`` is the median of the ratios of each round, because drift affects figure and limit
    alike."""

    name: str
    value: float
    unit: str
    against: str
    limit: float
    ratio: float
    target: str = ""
    met: bool | None = None


def _figure(
    name: str, unit: str, own: Sequence[float], against: str, limits: Sequence[float], rule: Rule | None = None
) -> Figure:
    ratio = median(mine / other for mine, other in zip(own, limits, strict=True))
    value, target, met = median(own), "", None
    if rule is not None:
        of, sign, bound = rule
        shown = ratio if of == "ratio" else value
        target = f"{sign} {bound:g}{' ×' if of == 'ratio' else f' {unit}'}"
        met = shown >= bound if sign == "≥" else shown <= bound
    return Figure(name, value, unit, against, median(limits), ratio, target, met)


def _of(readings: Sequence[Reading], pick: Callable[[Reading], float] = lambda r: r.value) -> list[float]:
    return [pick(reading) for reading in readings]


def _p50(reading: Reading) -> float:
    return reading.p50


def _p99(reading: Reading) -> float:
    return reading.p99


def sign_in_figures(got: Readings) -> list[Figure]:
    same, wheel = f"library, same build, {CORES} threads", f"library, wheel, {CORES} threads"
    one, pool_one = got["sign-in, 1 clients"], got["hash pool, 1 at once"]
    figures = [
        _figure("sign-in, 1 client", "/s", _of(one), "hash pool, 1 at once", _of(pool_one)),
        _figure("  its p50", "ms", _of(one, _p50), "one hash in the pool", _of(pool_one, _p50)),
        _figure("  its p99", "ms", _of(one, _p99), "its p50", _of(one, _p50)),
    ]
    for count in (8, 32):
        mine, pool = got[f"sign-in, {count} clients"], f"hash pool, {count} at once"
        name = f"sign-in, {count} clients"
        kinds = (got[pool], got[same], got[wheel])
        best = [max(values) for values in zip(*(_of(kind) for kind in kinds), strict=True)]
        rule = ("ratio", "≤", 1.3) if count == 32 else None
        figures += [
            _figure(name, "/s", _of(mine), "fastest raw Argon2id", best, ("ratio", "≥", 0.95)),
            _figure("", "/s", _of(mine), pool, _of(got[pool])),
            _figure("", "/s", _of(mine), same, _of(got[same])),
            _figure("", "/s", _of(mine), wheel, _of(got[wheel])),
            _figure("  its p50", "ms", _of(mine, _p50), f"{pool}: p50", _of(got[pool], _p50)),
            _figure("  its p99", "ms", _of(mine, _p99), "its p50", _of(mine, _p50), rule),
        ]
    return figures


def read_figures(got: Readings) -> list[Figure]:
    bearer, starlette, hello = (_of(got[k]) for k in ("me by bearer", "bare Starlette route", "bare ASGI answer"))
    figures = [
        _figure("me by bearer", "/s", bearer, "bare Starlette route", starlette),
        _figure("", "/s", bearer, "bare ASGI answer", hello, ("ratio", "≥", 0.55)),
    ]
    for name, bound in (("me by cookie", 0.9), ("me by GraphQL", 0.5)):
        mine = _of(got[name])
        figures += [
            _figure(name, "/s", mine, "me by bearer", bearer, ("ratio", "≥", bound)),
            _figure("", "/s", mine, "bare Starlette route", starlette),
        ]
    return figures


def many_figures(got: Readings) -> list[Figure]:
    first, few, again, beside = got
    limit = _of(got[few])
    return [
        _figure(first, "/s", _of(got[first]), few, limit, ("ratio", "≥", 0.5)),
        _figure(again, "/s", _of(got[again]), few, limit, ("ratio", "≥", 0.6)),
        _figure(beside, "/s", _of(got[beside]), few, limit),
    ]


def refresh_figures(got: Readings) -> list[Figure]:
    (name, mine), *limits = got.items()
    return [
        _figure("" if number else name, "/s", _of(mine), against, _of(readings))
        for number, (against, readings) in enumerate(limits)
    ]


def isolation_figures(got: Readings) -> list[Figure]:
    alone, under = _of(got["paced reads alone"], _p99), _of(got["paced reads under sign-ins"], _p99)
    storm, free = _of(got["sign-ins under paced reads"]), _of(got["sign-ins alone"])
    title = "p99 of 200 reads/s under sign-ins"
    return [
        _figure(title, "ms", under, "the same, reads alone", alone, ("ratio", "≤", 5)),
        _figure("", "ms", under, "the same, reads alone", alone, ("value", "≤", 15)),
        _figure("sign-ins meanwhile, 16 clients", "/s", storm, "the same, sign-ins alone", free, ("ratio", "≥", 0.85)),
    ]


def app_figures(got: Readings) -> list[Figure]:
    by_app, by_password, with_app, with_own = (
        _of(got[name]) for name in (BY_APP, BY_PASSWORD, READ_BY_APP, READ_BY_USER)
    )
    return [
        _figure(BY_APP, "ms", by_app, BY_PASSWORD, by_password, ("ratio", "≤", 1.5)),
        _figure(READ_BY_APP, "ms", with_app, READ_BY_USER, with_own, ("ratio", "≤", 1.05)),
    ]


def start_figures(got: Readings) -> list[Figure]:
    mine, bare = (_of(got[name])[1:] for name in ("manifest-auth", "bare server"))  # the first one filled the caches
    return [_figure("start to first 200", "s", mine, "bare server", bare, ("value", "≤", 1))]


def memory_figures(memory: dict[str, float]) -> list[Figure]:
    idle, loaded = memory["idle"], memory["loaded"]
    least = idle + CORES * HASH_MB
    return [
        _figure("memory, idle", "MB", [idle], "bare server, idle", [memory["bare"]], ("value", "≤", 80)),
        _figure("memory, 32 sign in", "MB", [loaded], "idle + Argon2's own", [least], ("value", "≤", 130)),
    ]


def table(figures: Sequence[Figure]) -> str:
    rows = [("figure", "value", "", "limit", "value", "ratio", "target", "met")]
    for f in figures:
        met = "" if f.met is None else "yes" if f.met else "NO"
        rows.append((f.name, _short(f.value), f.unit, f.against, _short(f.limit), f"{f.ratio:.2f}", f.target, met))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    right = (1, 4, 5)
    lines = [
        "  ".join(
            cell.rjust(w) if n in right else cell.ljust(w) for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def as_json(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    """The data for ``--json``: each row with its full name, which the table omits or shortens."""
    named, head = [], ""
    for figure in figures:
        own = figure.name.strip()
        head = head if figure.name.startswith(" ") else own or head
        named.append({**asdict(figure), "name": head if own in ("", head) else f"{head}: {own}"})
    return named
