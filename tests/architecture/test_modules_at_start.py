"""Modules that a process loads when it starts, because each additional library makes every start slower.

Rarely needed modules are loaded by the functions that need them, with a comment that gives the reason.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from manifest_auth.runtime.hashing import builds, worker
from manifest_auth.store.migrate import upgrade
from tests.architecture.links import ROOT
from tests.support.secret_keys import SECRET_KEY, the_keys

pytestmark = pytest.mark.processes

#: Library → its purpose.
ON_DEMAND = {
    "alembic": "a schema that is not up to date",
    "asyncpg": "PostgreSQL",
    "bcrypt": "hashes of other systems",
    "boto3": "a bucket",
    "cbor2": "the first passkey",
    "catalogue": "the first page or email, each in its language",
    "cryptography.x509": "SAML, and what joserfc reads",
    "dns": "a domain's record",
    "email.policy": "emails",
    "graphql": "the first query",
    "httpcore2": "calls to providers",
    "jinja2": "the first page",
    "joserfc": "the keys of providers",
    "lxml": "SAML",
    "manifest_auth.api.graphql.execution": "the first query",
    "markupsafe": "the first page",
    "manifest_auth.pages.all_pages": "the first page",
    "manifest_auth.maintenance.backup": "a command",
    "manifest_auth.maintenance.doctor": "a command",
    "manifest_auth.maintenance.reencrypt": "a command",
    "manifest_auth.maintenance.restore": "a command",
    "opentelemetry": "tracing",
    "publicsuffixlist": "a claim on a domain",
    "pyotp": "second factors",
    "segno": "a QR code",
    "signxml": "SAML",
    "rich": "nothing: structlog loads it where it is installed, unless asked for through manifest_auth.runtime.logs",
    "smtplib": "emails",
    "sqlalchemy.dialects.postgresql": "PostgreSQL",
    "tarfile": "a command",
    "webauthn": "the first passkey",
    "zxcvbn_rs_py": "a new password",
}
_SERVE = """
import asyncio, sys
from manifest_auth.app import create
from manifest_auth.maintenance.startup import opened
from manifest_auth.cli.main import parser
from manifest_auth.http import uvicorn_server

parser("serve").parse_args(["serve"])

from manifest_auth.text.languages import catalogue

async def start():
    async with opened(create().services, hashing=False):
        print(*sys.modules, *["catalogue"] * catalogue.cache_info().currsize)

asyncio.run(start())
"""


def _loaded(program: str, folder: Path) -> set[str]:
    ours = {"PYTHONPATH": str(ROOT / "src"), "MANIFEST_DATA_DIR": str(folder), "MANIFEST_SECRET_KEY": SECRET_KEY}
    environment = {"PATH": os.environ["PATH"], **ours}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.split())


async def test_a_server_loads_only_what_its_kind_needs(tmp_path: Path) -> None:
    await upgrade(f"sqlite:///{tmp_path / 'manifest-auth.db'}", the_keys)
    _loaded(_SERVE, tmp_path)  # the first start creates the keys, including one for ES256
    found = _loaded(_SERVE, tmp_path)
    assert {"sqlalchemy", "manifest_auth.cli.serving", "uvicorn"} <= found
    assert {name: why for name, why in ON_DEMAND.items() if name in found} == {}


def test_a_hash_worker_loads_only_what_it_needs() -> None:
    """One worker starts for each core, with the interpreter's own modules, the Argon2 binding, and its dependencies."""
    command = [sys.executable, "-I", "-S", "-X", "importtime", worker.__file__, "0", "64", *builds.choose().folders]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.close()  # without jobs, it exits
    with theirs:
        done = subprocess.run(command, stdin=theirs.fileno(), capture_output=True, text=True, timeout=60, check=True)
    found = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "_argon2_cffi_bindings" in found
    assert found & {"asyncio", "collections", "enum", "functools", "re", "selectors", "socket", "typing"} == set()
    assert not {name for name in found if name.startswith("manifest_auth")}
