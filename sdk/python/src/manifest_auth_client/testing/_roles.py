"""The permissions of roles.

Generated from the server's table by ``./dev docs``; a test compares the two.
"""

from __future__ import annotations

PERMISSIONS: dict[str, tuple[str, ...]] = {
    "Admin": (
        "users:read",
        "users:manage",
        "settings:manage",
        "audit:read",
        "templates:read",
        "templates:edit",
        "templates:approve",
        "templates:publish",
        "jobs:read",
        "jobs:execute",
    ),
    "User Admin": (
        "users:read",
        "users:manage",
        "settings:manage",
        "audit:read",
        "templates:read",
        "jobs:read",
    ),
    "Author": (
        "users:read",
        "templates:read",
        "templates:edit",
        "jobs:read",
    ),
    "Approver": (
        "users:read",
        "templates:read",
        "templates:approve",
        "jobs:read",
    ),
    "Publisher": (
        "users:read",
        "templates:read",
        "templates:publish",
        "jobs:read",
    ),
    "Operator": (
        "users:read",
        "templates:read",
        "jobs:read",
        "jobs:execute",
    ),
    "Viewer": (
        "users:read",
        "templates:read",
        "jobs:read",
    ),
}
