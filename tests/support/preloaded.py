"""Loads and makes what commands and servers would each load and make anew, for the process whose forks they are."""

from __future__ import annotations

import gc
import pkgutil
from functools import cache
from importlib import import_module

from manifest_auth import cli
from manifest_auth.maintenance.demo import people
from manifest_auth.tenants.claims import dns_lookup

_OTHERS = (
    "alembic.command",
    "asyncpg",
    "encodings.idna",
    "joserfc.jwk",
    "manifest_auth.api.graphql.execution",
    "manifest_auth.app",
    "manifest_auth.http.uvicorn_server",
    "manifest_auth.pages.all_pages",
    "manifest_auth.runtime.files",
    "manifest_auth.store.postgres",
    "manifest_auth.store.sqlite",
    "sqlalchemy.ext.asyncio",
    "tests.kills.kill_points",
    "tests.support.programs",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvloop",
)
_COMMANDS = [f"manifest_auth.cli.{each.name}" for each in pkgutil.iter_modules(cli.__path__)]
for _name in (*_OTHERS, *(name for name in _COMMANDS if "reference" not in name)):  # those only write docs
    import_module(_name)
dns_lookup._suffixes()
vars(people).update(gauge=cache(people.gauge))
people.gauge()
gc.collect()
gc.freeze()  # a fork need not walk it, which would copy it
