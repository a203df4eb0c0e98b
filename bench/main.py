"""``bench/run``: starts the server, loads it, and prints each figure next to a limit measured in the same run."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import apps, history, machine, report
from bench.driver import USERS, Driver
from bench.phases import Bench, warm_up
from bench.readings import ROOT, Broken, Readings, say
from bench.report import Figure
from bench.servers import Postgres, bare, environment, ours
from manifest_auth.runtime.hashing import builds

APPS = 10_000  # sign-ins through an app


def main() -> int:
    """Runs the benchmark. The exit status is 0 unless something fails; the table shows whether targets are met."""
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("--store", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one measured slice (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="how often figures and limits take turns (default: 3)")
    parser.add_argument("--sessions", type=int, default=60_000, help="open sessions that are read in turn")
    parser.add_argument(
        "--apps",
        type=int,
        nargs="?",
        const=APPS,
        metavar="N",
        help=f"only sign-ins by app, N of them (default: {APPS})",
    )
    parser.add_argument("--quick", action="store_true", help="one round of half seconds, to see that all works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures and all readings there too")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()), help="where the stores are made")
    parser.add_argument("--peers", type=Path, metavar="FILE", help="only keep a comparison with other servers")
    given = parser.parse_args()
    if given.peers:
        try:
            say(history.keep(given.peers))
        except Broken as error:
            parser.error(str(error))
        return 0
    if not 0.2 <= given.seconds <= 20 or given.rounds < 1:
        parser.error("--seconds from 0.2 to 20, --rounds from 1")
    if given.quick:
        given.seconds, given.rounds, given.sessions = 0.5, 1, 3000
    stores = ("sqlite", "postgresql") if given.store == "both" else (given.store,)
    result: dict[str, Any] = {"conditions": conditions(given), "stores": {}}
    busy: list[float] = []
    with tempfile.TemporaryDirectory(prefix="manifest-auth-bench-", dir=given.work, ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)  # PostgreSQL runs as its own user
        if machine.is_in_memory(folder):
            say(f"! {folder} is in memory: figures that commit say nothing there; choose another --work")
        try:
            for store in stores:
                figures, readings = measure(store, folder / store, given, busy)
                result["stores"][store] = {"figures": report.as_json(figures), "readings": readings}
                say(f"\nManifest Auth on {store}\n\n{report.table(figures)}\n")
        except Broken as error:
            say(f"bench: {error}")
            return 1
    result["conditions"]["others"] = round(max(busy), 3)
    say(", ".join(f"{name}: {value}" for name, value in result["conditions"].items()))
    if max(busy) > 0.1:
        say(f"! Others used up to {max(busy):.0%} of the machine in a phase: repeat this on an idle machine.")
    if given.json:
        given.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return 0


def conditions(given: argparse.Namespace) -> dict[str, Any]:
    return {
        "at": time.strftime("%Y-%m-%d %H:%M"),
        "processor": machine.processor(),
        "cores": machine.CORES,
        "python": platform.python_version(),
        "argon2": builds.choose().name,
        "seconds": given.seconds,
        "rounds": given.rounds,
    }


def measure(
    store: str, folder: Path, given: argparse.Namespace, busy: list[float]
) -> tuple[list[Figure], dict[str, Readings]]:
    """Runs all phases on one store, or only the sign-ins through an app."""
    folder.mkdir()
    folder.chmod(0o755)
    postgres = Postgres(folder) if store == "postgresql" else None
    figures, readings = list[Figure](), dict[str, Readings]()
    try:
        if given.apps is None:
            figures, readings = measure_all(store, folder, postgres, given, busy)
        watch = machine.Watch(postgres.folder if postgres else None)
        readings["apps"] = measure_apps(store, folder, postgres, given)
        busy.append(watch.others())
    finally:
        if postgres:
            postgres.stop()
    return [*figures, *report.app_figures(readings["apps"])], readings


def filled(
    folder: Path, postgres: Postgres | None, name: str, *options: str, **more: str
) -> tuple[str, dict[str, str]]:
    """Creates a store with users who sign in. Returns its address and the settings of its server, which include
    ``more``."""
    address = postgres.database(name) if postgres else f"sqlite:///{folder / name}.db"
    settings = environment(folder / f"data-{name}", address) | more
    seed = [sys.executable, "-m", "bench.seed", str(USERS), *options]
    if subprocess.run(seed, cwd=ROOT, env=settings, check=False).returncode:
        raise Broken("the store could not be filled")
    return address, settings


def measure_apps(store: str, folder: Path, postgres: Postgres | None, given: argparse.Namespace) -> Readings:
    say(f"\n{store}: a store with {USERS} users and an app …")
    file, count = folder / "app", given.apps or (300 if given.quick else APPS)
    _, settings = filled(folder, postgres, "apps", "--app", str(file), **apps.SETTINGS)
    return apps.measure(ours(folder, settings), file, postgres, count, given.rounds)


def measure_all(
    store: str, folder: Path, postgres: Postgres | None, given: argparse.Namespace, busy: list[float]
) -> tuple[list[Figure], dict[str, Readings]]:
    """Runs all other phases."""
    seconds, rounds, sessions, tokens = given.seconds, given.rounds, given.sessions, folder / "tokens"
    say(f"\n{store}: a store with {USERS} users who sign in and {sessions:,} who have …")
    address, settings = filled(folder, postgres, "bench", "--sessions", str(sessions), "--tokens", str(tokens))
    bench = Bench(ours(folder, settings), bare(folder), Driver(folder), address, postgres is not None, seconds, rounds)
    readings: dict[str, Readings] = {}
    try:
        bench.tokens = tokens.read_text().splitlines()
        readings["start"] = bench.starts()
        time.sleep(1)
        bench.memory |= {"idle": machine.memory_mb(bench.ours.pid), "bare": machine.memory_mb(bench.bare.pid)}
        bench.check()
        warm_up(bench, seconds)
        for name, phase in (
            ("reads", bench.reads),
            ("refreshes", bench.refreshes),
            ("sign_ins", bench.sign_ins),
            ("isolation", bench.isolation),
            ("many_sessions", bench.many_sessions),
        ):
            watch = machine.Watch(postgres.folder if postgres else None)
            readings[name] = phase()
            busy.append(watch.others())
            say(f"  {name}: others used {busy[-1]:.1%} of the machine")
    finally:
        bench.ours.stop()
        bench.bare.stop()
    figures = [
        *report.sign_in_figures(readings["sign_ins"]),
        *report.read_figures(readings["reads"]),
        *report.refresh_figures(readings["refreshes"]),
        *report.isolation_figures(readings["isolation"]),
        *report.many_figures(readings["many_sessions"]),
        *report.memory_figures(bench.memory),
        *report.start_figures(readings["start"]),
    ]
    return figures, readings


if __name__ == "__main__":
    sys.exit(main())
