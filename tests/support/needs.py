"""Marks for the programs that a test needs besides Python, and the Debian packages that contain them.

``python -m tests.support.needs [PATH …]`` prints a line for each program that these tests run, with its packages.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys

import pytest

_MARKS = {
    "processes": "starts processes, so it is no unit test",
    "needs(*programs)": "runs these programs of the machine, which tests/support/needs.py knows",
    "needs_postgres": "runs on PostgreSQL; set by its fixtures and parameters",
    "needs_chromium": "opens pages in Chromium",
    "needs_root": "does what only root may do",
}
_NODE = "nodejs npm"
_MONO = "mono-mcs mono-runtime libmono-system-net-http4.0-cil libmono-system-runtime-serialization4.0-cil"
#: Packages by program, where the names differ.
_PACKAGES = {
    **dict.fromkeys(("bash", "chromium", "curl", "git", "gpg", "iptables", "jq", "nsd", "oathtool", "openssl"), ""),
    **dict.fromkeys(("strace", "unbound"), ""),
    "gcc": "gcc libc6-dev python3-dev",
    "ip": "iproute2",
    "mcs": _MONO,
    "mono": _MONO,
    "node": _NODE,
    "npm": _NODE,
    "podman": "podman runc",
    "podman-compose": "podman-compose aardvark-dns nftables",
    "runc": "podman runc",
    "zbarimg": "zbar-tools",
}
_ALSO = {"chromium": ("google-chrome",)}
#: Marks for all tests of a folder.
_FOLDERS = {
    **dict.fromkeys(("cli", "faults", "kills", "processes", "releases", "sdk_python"), pytest.mark.processes),
    **dict.fromkeys(("graphql_audit", "interop", "sdk_javascript"), pytest.mark.needs("node", "npm")),
    "browser": pytest.mark.needs_chromium,
}
#: Marks for tests that use a fixture.
_FIXTURES = {
    "postgres": pytest.mark.needs_postgres,
    "own_postgres": pytest.mark.needs_postgres,
    "zone": pytest.mark.needs("nsd", "unbound"),
}


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in _MARKS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Set the marks for the test's folder, fixtures, and store."""
    if mark := _FOLDERS.get(item.nodeid.removeprefix("tests/").partition("/")[0]):
        item.add_marker(mark)
    for fixture in _FIXTURES.keys() & set(getattr(item, "fixturenames", ())):
        item.add_marker(_FIXTURES[fixture])
    if "postgresql" in map(str, getattr(getattr(item, "callspec", None), "params", {}).values()):
        item.add_marker(pytest.mark.needs_postgres)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test if a program is missing, and say what to install."""
    if item.get_closest_marker("needs_root") and os.geteuid() != 0:
        pytest.fail("it needs root", pytrace=False)
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    for program in programs(item):
        if not any(shutil.which(name, path=path) for name in (program, *_ALSO.get(program, ()))):
            pytest.fail(f"it needs {program} (Debian, Ubuntu: apt-get install {packages(program)})", pytrace=False)


def more_than_python(item: pytest.Item) -> bool:
    """Whether a test has one of the marks."""
    return any(item.get_closest_marker(name.partition("(")[0]) is not None for name in _MARKS)


def programs(item: pytest.Item) -> set[str]:
    """The programs of the machine that a test runs."""
    named = {name for mark in item.iter_markers("needs") for name in mark.args}
    assert named <= _PACKAGES.keys(), named - _PACKAGES.keys()
    return named | ({"chromium"} if item.get_closest_marker("needs_chromium") else set())


def packages(program: str) -> str:
    return _PACKAGES[program] or program


class _Collected:
    """The plugin that collects the tests of some paths."""

    def __init__(self) -> None:
        self.programs: set[str] = set()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.programs.update(*map(programs, session.items))


def main(paths: list[str]) -> None:
    """List the programs; without paths, no tests need to be collected."""
    collected = _Collected()
    if paths:
        with contextlib.redirect_stdout(io.StringIO()):
            pytest.main(["--collect-only", "-qq", *paths], plugins=[collected])
    for program in sorted(collected.programs if paths else _PACKAGES):
        print(program, packages(program))


if __name__ == "__main__":
    main(sys.argv[1:])
