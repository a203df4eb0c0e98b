"""The C# sample, compiled with mcs and run by mono, keeps a session at a real server through several expirations."""

from __future__ import annotations

import http.server
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.links import ROOT
from tests.interop.providers.install import program
from tests.support.server import DEMO_PASSWORD, served

pytestmark = [pytest.mark.needs("mcs", "mono"), pytest.mark.endurance, pytest.mark.one_store]
SAMPLE = ROOT / "sdk" / "csharp" / "ManifestAuthHandler.cs"
PAGE = ROOT / "docs" / "sdk-csharp.md"
HEADSETS = ROOT / "docs" / "devices.md"
#: The environment of the headset page's function. Each call to the server gets the next response.
AROUND = """
using System;
using System.Collections.Generic;
using System.Net.Http;
using System.Threading.Tasks;
using ManifestAuth;

internal static class Program
{
    private static readonly Queue<string> Answers = new Queue<string>(
        new[] {
            "match=47 interval=0 device_code=x", "error=authorization_pending",
            "access_token=a refresh_token=r expires_in=60"
        });

    private static Task<Dictionary<string, string>> PostAsync(
        HttpClient http, string path, params (string, string)[] form)
    {
        Console.WriteLine(path + " " + string.Join(" ", Array.ConvertAll(form, pair => pair.Item1)));
        var found = new Dictionary<string, string>();
        foreach (var pair in Answers.Dequeue().Split(' ')) found[pair.Split('=')[0]] = pair.Split('=')[1];
        return Task.FromResult(found);
    }

    private static void Main()
    {
        Console.WriteLine(PairAsync(null, "acme", "code", Console.WriteLine).Result.Token);
    }

    private static FUNCTION
}
"""
ADVICE = "Debian, Ubuntu: apt-get install mono-mcs mono-runtime"
SETTINGS: Any = {"MANIFEST_PUBLIC_URL": "http://127.0.0.1:8080", "MANIFEST_RATE_LIMITS": "off"}
BRIEF: Any = {"MANIFEST_ACCESS_TOKEN_TTL": "2", "demo": False, **SETTINGS}


class _Echo(http.server.BaseHTTPRequestHandler):
    """Return the received token."""

    def do_GET(self) -> None:
        told = str(self.headers.get("Authorization", "")).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def other() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def compiled(source: Path, folder: Path) -> Path:
    """Compile the sample with another file, without warnings."""
    result = folder / "program.exe"
    libraries = ("System.Net.Http.dll", "System.Runtime.Serialization.dll")
    flags = ["-langversion:7", "-warnaserror", *(f"-r:{name}" for name in libraries), f"-out:{result}"]
    command = [program("mcs", ADVICE), *flags, str(SAMPLE), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return result


def run(file: Path, *arguments: str) -> list[str]:
    command = [program("mono", ADVICE), str(file), *arguments]
    done = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False, timeout=100)
    # Mono can abort when it ends, after all output; the files it leaves must not be in the repository.
    said, aborted, _ = done.stdout.partition("* Assertion at mono-threads.c")
    assert done.returncode == 0 or aborted, done.stdout + done.stderr
    return said.splitlines()


def test_it_keeps_the_session_and_one_of_many_callers_refreshes(database_url: str, tmp_path: Path, other: str) -> None:
    (tmp_path / "brief").mkdir()
    file = compiled(Path(__file__).with_name("Program.cs"), tmp_path)
    with (
        served(tmp_path, database_url, **SETTINGS) as server,
        served(tmp_path / "brief", database_url, **BRIEF) as brief,
    ):
        said = run(file, f"{server.base}/", f"{brief.base}/", other, DEMO_PASSWORD)
    assert said == [
        "before 401",
        "refused INVALID_CREDENTIALS True",
        "by the clock 200 1",
        "after a 401 200 1",
        "body True 1",
        "other origin ''",
        "out 200",
        "over 401 2 True",
    ]


def test_the_example_of_the_page_runs(tmp_path: Path) -> None:
    [example] = re.findall(r"^```csharp\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    with served(tmp_path, **SETTINGS) as server:
        filled = example.replace("https://auth.example.com", server.base).replace('"…"', f'"{DEMO_PASSWORD}"')
        source = tmp_path / "example.cs"
        source.write_text(filled, "utf-8")
        assert run(compiled(source, tmp_path)) == ["author@acme.example"]


def test_the_function_for_headsets_runs(tmp_path: Path) -> None:
    [function] = re.findall(r"^```text\n(async Task<.*?)^```", HEADSETS.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    source = tmp_path / "headset.cs"
    source.write_text(AROUND.replace("FUNCTION", function), "utf-8")
    assert run(compiled(source, tmp_path)) == [
        "/oauth2/pairing client_id pairing_code device_name",
        "47",
        "/oauth2/token client_id device_code grant_type",
        "/oauth2/token client_id device_code grant_type",
        "a",
    ]
