"""The site, built once for these tests, the server with the site, and a browser."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from manifest_auth.app import Application
from manifest_auth.http import docs_site
from manifest_auth.maintenance.startup import build_services
from manifest_auth.runtime.settings import load
from tests.architecture.links import ROOT
from tests.browser.driver import Chromium
from tests.support import run_folder
from tests.support.application import FAST
from tests.support.processes import free_port


@pytest.fixture(scope="session")
def site() -> Path:
    """The site's folder, as ``./dev docs`` creates it, once per run."""
    folder = run_folder.folder() / "site"
    with run_folder.locked("site"):
        if not folder.exists():
            making = folder.with_name("site-making")
            command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(making)]
            given = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
            done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            making.rename(folder)
    return folder


@pytest.fixture(scope="package")
def base(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the site."""
    patch = pytest.MonkeyPatch()
    patch.setattr(docs_site, "FOLDER", site)
    port = free_port()
    settings = load({**FAST, "MANIFEST_DATA_DIR": str(tmp_path_factory.mktemp("data")), "MANIFEST_PORT": str(port)})
    server = uvicorn.Server(uvicorn.Config(Application(build_services(settings)), port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()
    patch.undo()


@pytest.fixture(scope="package")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened
