"""Generates ``docs/pages.md``, the list of the server's HTML pages."""

from __future__ import annotations

from manifest_auth.api.all_routes import ROUTES
from manifest_auth.app import page_routes
from manifest_auth.http import Access, Route

_HEAD = """\
# Pages

<!-- Made from the code by `./dev docs`; a test holds it to it. -->

What browsers show. Programs call the routes of `/openapi.json`. All pages answer at `MANIFEST_PUBLIC_URL` alone; a
form is posted from the page that shows it. Those for users send everyone else to `/sign-in` and come back; one that
asks for a permission is not there for users who do not have it. Those for system admins have a session of their own,
and send everyone else to `/installation/sign-in`.

| route | for | what it does |
| --- | --- | --- |
"""


def pages_page() -> str:
    """The text of ``pages.md``: all pages, by address."""
    found = [route for route in (*ROUTES, *page_routes()) if route.access is Access.PAGE]
    return _HEAD + "".join(_line(route) for route in sorted(found, key=lambda route: (route.path, route.method)))


def _line(route: Route) -> str:
    return f"| `{route.method} {route.path}` | {route.audience or 'everyone'} | {route.summary} |\n"
