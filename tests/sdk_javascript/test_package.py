"""The packed JavaScript client: its size, its content, and that its types match the current API."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.sdk_javascript import wire_types
from tests.sdk_javascript.installed import EXAMPLES, pack

SOURCES = {"errors.js", "file_lock.js", "index.js", "node.js", "session.js", "stores.js"}
TYPES = {"index.d.ts", "node.d.ts", "wire.d.ts"}
#: Hosts in the license and in the descriptions of members.
PUBLIC = {"www.apache.org", "contoso.crm.dynamics.com"}
_USE = """
import { createClient, ManifestAuthError, MfaRequired, memoryStore } from "manifest-auth-client";
import type { Data, TokenStore } from "manifest-auth-client";
import { fileStore } from "manifest-auth-client/node";

const store: TokenStore = Math.random() > 2 ? memoryStore() : fileStore("tokens.json");
const client = createClient({ baseUrl: "https://auth.example.com", mode: "bearer", store });
export async function use(): Promise<string> {
  try {
    const told = await client.signIn({ email: "a@acme.example", password: "a" });
    const me: Data<"/api/client/auth/me", "get"> = await client.me();
    // @ts-expect-error a sign-in hands no token out
    told.token;
    return `${told.user.email} ${me.permissions.length}`;
  } catch (error) {
    if (error instanceof MfaRequired) return (await error.continueWith({ otp: "123456" })).user.email;
    // @ts-expect-error there is no such code
    if (error instanceof ManifestAuthError && error.code === "INVALID") return "";
    return error instanceof ManifestAuthError && error.code === "RATE_LIMITED" ? `${error.retryAfter}` : "";
  }
}
"""


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The text of each file in the package, by name."""
    with tarfile.open(pack(tmp_path_factory.mktemp("dist"))) as archive:
        files = {each.name: archive.extractfile(each) for each in archive.getmembers()}
        return {name.removeprefix("package/"): file.read().decode() for name, file in files.items() if file}


def test_it_has_the_modules_and_their_types_and_no_test(packed: dict[str, str]) -> None:
    sources = {f"src/{name}" for name in SOURCES | TYPES}
    assert packed.keys() == {"package.json", "README.md", "CHANGELOG.md", "LICENSE", *sources}
    told = json.loads(packed["package.json"])
    assert (told["type"], told["engines"]) == ("module", {"node": ">=20"})
    assert not {"dependencies", "peerDependencies", "optionalDependencies", "scripts"} & told.keys()
    assert f"## {told['version']}" in packed["CHANGELOG.md"]


def test_it_names_no_host_and_keeps_no_token_in_the_browser(packed: dict[str, str]) -> None:
    for name in SOURCES:
        text = packed[f"src/{name}"]
        assert not re.search(r"https?://|localStorage|sessionStorage|indexedDB|document\.cookie", text), name
    hosts = {host for text in packed.values() for host in re.findall(r"https?://([\w.-]+)", text)}
    assert {host for host in hosts if not re.search(r"(^|\.)example(\.com)?$", host)} <= PUBLIC


def test_its_modules_are_at_most_8_kib_gzipped(packed: dict[str, str]) -> None:
    """Each module on its own, as a server sends it; bundlers make it smaller."""
    sizes = {name: len(gzip.compress(packed[f"src/{name}"].encode(), 9)) for name in SOURCES}
    assert sum(sizes.values()) <= 8 * 1024, sizes


@pytest.mark.endurance
def test_a_program_in_strict_typescript_is_told_what_it_can_do(prefix: Path, tmp_path: Path) -> None:
    """Compiles the program above, and the examples on the client's page."""
    (tmp_path / "use.ts").write_text(_USE)
    given = "/** @type {string} */ let email = '', password = ''; export {};\n"
    examples = [tmp_path / f"example-{number}.js" for number in range(len(EXAMPLES))]
    for path, example in zip(examples, EXAMPLES, strict=True):
        path.write_text(given + example)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "node_modules").symlink_to(prefix / "node_modules")
    tsc = wire_types.tools() / "node_modules/.bin/tsc"
    flags = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom"]
    flags += ["--allowJs", "--checkJs", "--noImplicitAny", "false"]  # the examples don't declare types
    done = subprocess.run([tsc, *flags, "use.ts", *examples], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
