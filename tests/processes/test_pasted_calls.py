"""The calls on docs pages work as described when a reader pastes them from top to bottom.

The server is a new demo server, on which all accounts share one password.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import docs_pages
from tests.support.pictures import Picture
from tests.support.server import DEMO_PASSWORD, served

pytestmark = [pytest.mark.needs("bash", "curl", "jq", "openssl"), pytest.mark.one_store, pytest.mark.timeout(200)]
#: The reader's files: a photo, which starts like a JPEG, and a logo.
PHOTO, LOGO = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9"), Picture().encoded()
#: By page and heading, the status of each call, where one is rejected because the demo lacks something.
STATUS = {
    "integrators.md": {
        "Users": [*[200] * 8, 401],  # a used link
        "Change an email address": [409, 401, 401],  # no mail server
        "System admins": [*[200] * 9, 400],  # no license
        "A mobile or desktop app": [401],
        "SAML": [400],
        "Link a provider to an account": [404, 200, 404, 404],
        "Microsoft": [401, 401, 401],
    },
    "machine-callers.md": {},
}
_PRELUDE = """
set -u
curl() {
  command curl -w '%{stderr}'"$heading"' %{http_code} %{method} %{url_effective}\\n' "$@"
}
"""


def script(page: str, base: str) -> str:
    """The shell blocks of a page as one script, which writes a line to standard error for each call."""
    text, lines, heading = docs_pages.text_of(page), [_PRELUDE], ""
    for found in re.finditer(r"^#+ ([^\n]+)$|^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        heading = found[1] or heading
        if found[2] and "./dev demo" not in found[2]:
            lines += [f"heading={shlex.quote(heading)}", found[2]]
    program = "\n".join(lines).replace("kestrel-harbor-21-violet", DEMO_PASSWORD)
    return re.sub(r"http://127\.0\.0\.1:8080|https://auth\.example\.com", base, program)


@pytest.mark.parametrize("page", STATUS)
def test_every_call_of_the_page_is_answered_as_it_says(page: str, tmp_path: Path) -> None:
    (tmp_path / "valve.jpg").write_bytes(PHOTO)
    (tmp_path / "logo.png").write_bytes(LOGO)
    with served(tmp_path) as server:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # the Python with the page's libraries
        done = subprocess.run(
            ["bash", "-c", script(page, server.base)],
            cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    calls = re.findall(r"^(.*) (\d{3}) [A-Z]+ (http://\S+)$", done.stderr, re.MULTILINE)
    seen: dict[str, list[int]] = {}
    for heading, status, _ in calls:
        seen.setdefault(heading, []).append(200 if status == "201" else int(status))
    told = {heading: STATUS[page].get(heading, [200] * len(each)) for heading, each in seen.items()}
    assert seen == told, f"{done.stderr}\n{done.stdout[-3000:]}"
    # There were no other errors, such as an undefined variable.
    assert (done.returncode, len(done.stderr.splitlines())) == (0, len(calls)), done.stderr
    assert len(calls) >= sum(call.page == page for call in docs_pages.requests()) > 10
    refused = [path for _, status, path in calls if path.endswith("/graphql") and status != "200"]
    assert done.stdout.count('"errors":[') == len(refused)  # GraphQL can return 200 with the reason for a failure
