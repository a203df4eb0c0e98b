"""Names that are given to routes by hand are names of routes that there are."""

from __future__ import annotations

from manifest_auth.api.all_routes import ROUTES
from manifest_auth.http.operation_names import NAMED


def test_every_name_by_hand_is_of_a_route() -> None:
    assert NAMED.keys() <= {f"{route.method} {route.path}" for route in ROUTES}
