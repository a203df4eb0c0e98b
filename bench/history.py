"""Keeps comparisons with other servers in ``history.jsonl``, as ratios by processor, and shows what moved.

A line has the ratios of one of our targets to each other server, and to the machine's fastest Argon2id. Above 1, ours
is better. Each ratio is the median over the rounds of a comparison; rounds that other programs disturbed don't count.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from statistics import median
from typing import Any

from bench import machine
from bench.readings import ROOT, Broken
from manifest_auth import __version__

FILE = Path(__file__).with_name("history.jsonl")
OURS, LIMIT = "manifest-auth", "fastest Argon2id"
#: Figures by their path in a round's readings, and whether more is better.
FIGURES = {
    "signin_1.rps": True,
    "signin_8.rps": True,
    "signin_32.rps": True,
    "refresh.rps": True,
    "read_token.rps": True,
    "read_cookie.rps": True,
    "graphql.rps": True,
    "paced_signin.p99": False,
    "cold_s": False,
    "idle_rss_mib": False,
    "loaded_rss_mib": False,
}
_MOST_BY_OTHERS = 0.15  # share of the machine
Round = dict[str, Any]


def keep(result: Path, file: Path = FILE) -> str:
    """Adds a comparison to the history. ``result`` is the JSON that it wrote. Returns the ratios next to the previous
    ones of the same processor. Raises Broken."""
    compared = json.loads(result.read_text("utf-8"))
    runs: dict[str, list[Round]] = compared["runs"]
    if not (ours := [target for target in runs if target.startswith(OURS)]):
        raise Broken(f"{result} has no target {OURS}-…")
    known = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    head = {
        "at": compared["at"],
        "processor": machine.processor(),
        "cores": compared["host"]["cores"],
        "version": __version__,
        "commit": commit.stdout.strip(),
    }
    tables = list[str]()
    for target in ours:
        ratios = {peer: found for peer in runs if peer not in ours and (found := _ratios(runs[target], runs[peer]))}
        if limit := _to_limit(runs[target], compared["limits"]):
            ratios[LIMIT] = {"signin_32.rps": limit}
        before = [one for one in known if (one["processor"], one["target"]) == (head["processor"], target)]
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({**head, "target": target, "ratios": ratios}, ensure_ascii=False) + "\n")
        tables.append(_table(target, ratios, before[-1] if before else None))
    return "\n\n".join(tables)


def _ratios(ours: list[Round], theirs: list[Round]) -> dict[str, float]:
    pairs = {name: [(_value(a, name), _value(b, name)) for a, b in zip(ours, theirs, strict=False)] for name in FIGURES}
    each = {name: [a / b if FIGURES[name] else b / a for a, b in found if a and b] for name, found in pairs.items()}
    return {name: round(median(found), 3) for name, found in each.items() if found}


def _to_limit(ours: list[Round], limits: list[Round]) -> float | None:
    found = list[float]()
    for one, limit in zip(ours, limits, strict=False):
        hashes = [v["2"] for name, v in limit["hash"].items() if name.startswith("Argon2id") and _is_clean(v)]
        if hashes and (value := _value(one, "signin_32.rps")):
            found.append(value / max(hashes))
    return round(median(found), 3) if found else None


def _value(readings: Round, name: str) -> float | None:
    phase, _, member = name.partition(".")
    found = readings.get(phase)
    if member and isinstance(found, dict):
        return found.get(member) if _is_clean(found) else None
    return None if member else found


def _is_clean(phase: Round) -> bool:
    return bool(phase.get("foreign", 0) <= _MOST_BY_OTHERS)


def _table(target: str, ratios: dict[str, dict[str, float]], before: dict[str, Any] | None) -> str:
    since = f"{before['version']} of {before['at']}" if before else "never measured on this processor"
    lines = [f"{target}, times better than (before: {since})"]
    for peer, found in ratios.items():
        for name, ratio in found.items():
            old = before["ratios"].get(peer, {}).get(name) if before else None
            moved = f"{old:8.2f} {ratio / old - 1:+8.0%}" if old else ""
            lines.append(f"  {peer:<28}{name:<20}{ratio:8.2f}{moved}")
    return "\n".join(lines)
