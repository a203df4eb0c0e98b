"""The pages of a client's settings, identified by their fields."""

from __future__ import annotations

from typing import Final

PAGES: Final = {
    "passwords": ("password",),
    "factors": ("secondFactor", "role", "passkeySignIn", "stepUp"),
    "sessions": ("sessions", "refreshStrict"),
    "devices": ("pairing", "badge"),
    "apps": ("allowedOrigins", "returnAddresses", "contact", "language", "confirm"),
}


def page_with(path: str, *fields: str) -> str:
    """The address of the page with these fields, or of the first page if there are none. ``path`` is that of the
    settings."""
    pages = {page for field in fields for page, of in PAGES.items() if field.startswith(of)} or {"passwords"}
    [page] = pages
    return f"{path}?page={page}"
