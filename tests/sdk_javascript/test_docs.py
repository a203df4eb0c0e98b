"""The examples on the JavaScript client's docs page run exactly as printed."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes.node_client import AUTHOR
from tests.sdk_javascript import installed
from tests.sdk_javascript.installed import EXAMPLES
from tests.support.matrix import matrix
from tests.support.server import DEMO_PASSWORD, Server, served

#: Output, by the number of the example.
PRINTED = [
    [f"{AUTHOR} cookie"],
    ["200", "true"],
    [AUTHOR],
    ["token refreshToken expiresAt renewAt"],
    ["INVALID_CREDENTIALS 401 true"],
    [AUTHOR],
]
#: Parts of a page besides the example: a person's input, and the browser's cookies.
AROUND = """
const original = globalThis.fetch, jar = new Map();
globalThis.fetch = async (url, init) => {
  const headers = new Headers(init?.headers);
  const cookies = [...jar].map((each) => each.join("=")).join("; ");
  if (init?.credentials === "include" && cookies) headers.set("cookie", cookies);
  const answer = await original(url, { ...init, headers });
  for (const line of answer.headers.getSetCookie()) jar.set(...line.split(";")[0].split("="));
  return answer;
};
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    given: Any = {"MANIFEST_RATE_LIMITS": "off"}
    with served(tmp_path_factory.mktemp("server"), **given) as running:
        yield running


def test_every_example_is_run() -> None:
    assert len(EXAMPLES) == len(PRINTED)


@matrix("number", range(len(PRINTED)))
def test_the_example_prints_what_it_should(number: int, server: Server, prefix: Path) -> None:
    given = "".join(
        f"const {name} = {json.dumps(value)};\n"
        for name, value in {"email": AUTHOR, "password": DEMO_PASSWORD}.items()
        if re.search(rf"\b{name}\b", EXAMPLES[number])
    )
    assert EXAMPLES[number].count("https://auth.example.com") == 1
    file = prefix / f"example-{number}.mjs"
    file.write_text(given + AROUND + EXAMPLES[number].replace("https://auth.example.com", server.base), "utf-8")
    command = [installed.nodejs(""), file.name]
    done = subprocess.run(command, cwd=prefix, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == PRINTED[number]
