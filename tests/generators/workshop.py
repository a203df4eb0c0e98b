"""A folder for running the commands of ``docs/generated-clients.md`` against a server, as an integrator would."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.architecture.docs_pages import text_of
from tests.interop.providers import install
from tests.support.pictures import Picture
from tests.support.server import DEMO_PASSWORD, Server

HERE = Path(__file__).parent
PAGE = "generated-clients.md"
_PACKAGES = {
    "type": "module",
    "dependencies": {
        "@graphql-codegen/cli": "7.4.3",
        "@graphql-codegen/typed-document-node": "7.1.1",
        "@graphql-codegen/typescript": "6.1.0",
        "@graphql-codegen/typescript-operations": "6.1.9",
        "@graphql-typed-document-node/core": "3.2.0",
        "@redocly/cli": "2.77.0",
        "@types/node": "20.19.25",
        "graphql": "16.11.0",
        "openapi-fetch": "0.17.0",
        "openapi-typescript": "7.13.0",
        "typescript": "5.9.3",
    },
}


def node_packages() -> Path:
    """The folder with the Node.js programs."""
    return install.npm("generators", _PACKAGES) / "node_modules"


def python() -> Path:
    """The Python of the environment with the generators of Python clients."""
    return install.environment("generators-python", HERE / "requirements.txt")


class Workshop:
    """A folder with the files of the page's ``section``."""

    def __init__(self, folder: Path, server: Server, section: str, programs: Path) -> None:
        self.folder = folder
        self._text = text_of(PAGE)
        part = re.split(r"^## ", self._text, flags=re.MULTILINE)
        [self._section] = [one for one in part if one.startswith(f"{section}\n")]
        for name, content in re.findall(r'^```\w+ title="(.+?)"\n(.*?)^```', self._text, re.MULTILINE | re.DOTALL):
            if content in self._section or name.endswith(".graphql"):
                (folder / name).write_text(content)
        self.environment = {
            **os.environ,
            "BASE": server.base,
            "PASSWORD": DEMO_PASSWORD,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "REDOCLY_TELEMETRY": "off",
        }
        self.environment["TOKEN"] = self._token()

    def _token(self) -> str:
        body = json.dumps({"email": "admin@acme.example", "password": DEMO_PASSWORD})
        address = f"{self.environment['BASE']}/api/client/auth/sign-in"
        said = self.run("curl", "-sf", address, "-H", "Content-Type: application/json", "-d", body)
        return str(json.loads(said)["data"]["token"])

    def run(self, *command: str) -> str:
        """Run a command that must succeed, and return its output."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def follow(self) -> str:
        """Run the commands of the section, and return their output."""
        [commands] = re.findall(r"^```sh\n(.*?)^```", self._section, re.MULTILINE | re.DOTALL)
        return self.run("bash", "-euc", commands)

    def add(self, *names: str) -> None:
        """Copy files of ``programs``."""
        for name in names:
            shutil.copy(HERE / "programs" / name, self.folder)

    def picture(self, name: str) -> None:
        """Create a picture to upload."""
        (self.folder / name).write_bytes(Picture().encoded())

    def given_by(self, *command: str) -> Any:
        """The JSON that a command prints."""
        return json.loads(self.run(*command))


def typescript(folder: Path, server: Server, section: str) -> Workshop:
    """A workshop with the Node.js packages."""
    packages = node_packages()
    made = Workshop(folder, server, section, packages / ".bin")
    (folder / "node_modules").symlink_to(packages)
    (folder / "package.json").write_text('{"type": "module", "private": true}')
    made.add("tsconfig.json")
    return made
