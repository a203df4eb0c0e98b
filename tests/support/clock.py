"""The clock of this machine, for servers that run in their own processes."""

from __future__ import annotations

from manifest_auth.runtime.clock import Clock

#: What stand-ins of providers read, where the server reads it too.
REAL = Clock()
