"""Access to a released route never changes: its callers, permission, re-authentication, and audit record.

A new route doesn't need a line in ``access_kept.txt``. Lines change only by a deliberate decision.
"""

from __future__ import annotations

from pathlib import Path

from tests.http.work.test_permission_matrix import NEEDED_BY
from tests.support.routes import ROUTES

KEPT = Path(__file__).with_name("access_kept.txt").read_text("utf-8").splitlines()


def current() -> list[str]:
    """A line for each route, and for each GraphQL operation."""
    routes = [
        f"{route} {route.who} {route.permission.value if route.permission else '-'} {route.proof or '-'} "
        f"{'recorded' if route.is_recorded else '-'}"
        for route in ROUTES
    ]
    return routes + [f"GRAPHQL {name} {permission}" for name, permission in NEEDED_BY.items()]


def test_no_route_and_no_operation_is_more_open_than_it_was() -> None:
    assert len(KEPT) > 200
    assert sorted(set(KEPT) - set(current())) == []
