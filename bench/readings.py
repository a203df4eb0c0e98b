"""Paired readings: figure, limit, figure, limit, and so on, so that changes in machine speed affect both."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Broken(Exception):
    """Something failed, so there is nothing to measure."""


class Reading(NamedTuple):
    """One measurement. ``value`` is in the figure's unit, usually responses per second; the percentiles are in
    milliseconds."""

    value: float
    p50: float = 0.0
    p99: float = 0.0


Readings = dict[str, list[Reading]]


def say(text: str) -> None:
    print(text, flush=True)


def in_turn(title: str, slices: Mapping[str, Callable[[], Reading]], rounds: int) -> Readings:
    """Measures every slice once in each round."""
    found: Readings = {name: [] for name in slices}
    for number in range(rounds):
        for name, measure in slices.items():
            try:
                reading = measure()
            except Broken as error:
                raise Broken(f"{title}, {name}: {error}") from error
            found[name].append(reading)
            times = f"   p50 {reading.p50:.2f} ms, p99 {reading.p99:.2f} ms" if reading.p50 else ""
            say(f"  {title} {number + 1}/{rounds}  {name:<34} {reading.value:>10.2f}{times}")
    return found


def limit(module: str, *arguments: str) -> Reading:
    """Runs a separate process that measures a limit and prints a reading as JSON."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Broken(f"{module} gave up")
    return Reading(*json.loads(done.stdout))
