"""The site loads nothing from another host, and the server serves exactly the site's files."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path

import httpx2
import pytest

from manifest_auth.http import docs_site
from tests.browser.driver import Chromium
from tests.support.application import App
from tests.support.matrix import matrix


def _listed(site: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((site / "site.json").read_text("utf-8"))["files"]
    return found


@pytest.mark.processes
def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    for path in (*site.rglob("*.html"), *site.rglob("*.css")):
        text = path.read_text("utf-8")
        loaded = re.findall(r"""<(?:script|img|iframe|source)[^>]*\bsrc=["']?([^"' >]+)""", text)
        loaded += re.findall(r"""<link[^>]*\bhref=["']?([^"' >]+)""", text) + re.findall(r"url\(([^)]+)\)", text)
        assert [one for one in loaded if re.match(r"[\"']?(https?:)?//", one)] == [], path.name


@pytest.mark.needs_chromium
@pytest.mark.endurance
def test_a_browser_asks_no_other_host_and_complains_of_nothing(browser: Chromium, base: str) -> None:
    browser.requests.clear()
    browser.complaints.clear()
    for name in ("index.html", "reference/http.html", "how-sign-in-works.html", "architecture.html"):
        browser.open(f"{base}/docs/{name}")
        browser.until("document.documentElement?.classList.contains('js')")
    assert [asked for asked in browser.requests if not asked.startswith((base, "data:", "about:"))] == []
    assert browser.complaints == []


@pytest.mark.processes
@pytest.mark.endurance
def test_every_file_is_served_with_its_type_and_policy(base: str, site: Path) -> None:
    for name, digest in _listed(site).items():
        answer = httpx2.get(f"{base}/docs/{name}")
        assert answer.status_code == 200, name
        assert answer.content == (site / name).read_bytes()
        assert answer.headers["etag"] == f'"{digest}"'
        assert answer.headers["content-type"].partition(";")[0] in {
            "text/html", "text/css", "text/javascript", "application/json", "image/png", "image/svg+xml",
        }  # fmt: skip
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self' 'sha256-")
        assert "unsafe" not in answer.headers["content-security-policy"]
    assert httpx2.get(f"{base}/docs/").content == (site / "index.html").read_bytes()


@pytest.mark.processes
def test_what_a_browser_has_is_not_sent_again(base: str, site: Path) -> None:
    tag = httpx2.get(f"{base}/docs/admin.html").headers["etag"]
    again = httpx2.get(f"{base}/docs/admin.html", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    plain = httpx2.get(f"{base}/docs/admin.html", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    with httpx2.stream("GET", f"{base}/docs/admin.html", headers={"Accept-Encoding": "gzip"}) as packed:
        assert gzip.decompress(b"".join(packed.iter_raw())) == plain.content


@pytest.mark.processes
@matrix(
    "path",
    ["site.json", "../site.json", "../../app.py", "..%2fapp.py", "%2e%2e/app.py", "nothing.html", "assets", "a//b",
     "decisions/", "/etc/passwd", "a/b/c/d/e.html", "index.html/", "INDEX.html"],
)  # fmt: skip
def test_nothing_else_is_served(base: str, path: str) -> None:
    answer = httpx2.get(httpx2.URL(base).copy_with(raw_path=f"/docs/{path}".encode()))
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "NOT_FOUND"


@pytest.mark.processes
async def test_a_server_that_runs_has_it_as_soon_as_it_is_built(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docs_site, "FOLDER", tmp_path)
    assert not docs_site.is_there()
    assert (await app.get("/docs/index.html")).code == "NOT_FOUND"
    assert "no guides" in (await app.get("/docs/")).text
    for build in ("first", "second"):
        (tmp_path / "index.html").write_text(build)
        (tmp_path / "site.json").write_text(json.dumps({"policy": "", "files": {"index.html": build}}))
        at = 1_700_000_000 + len(build)
        os.utime(tmp_path / "site.json", (at, at))
        for path in ("/docs/", "/docs/index.html"):
            reply = await app.get(path)
            assert (reply.status, reply.text, reply.headers["etag"]) == (200, build, f'"{build}"')
    reference = (await app.get("/docs/api")).text
    assert 'href="/docs/"' in reference
    assert "no guides" not in reference
