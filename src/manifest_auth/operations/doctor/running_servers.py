"""``doctor``: whether the server that runs has the same settings."""

from __future__ import annotations

from manifest_auth.runtime.running import differing
from manifest_auth.runtime.settings import Settings, SettingsError


def running_findings(settings: Settings) -> list[tuple[str, str]]:
    """Levels and texts of the findings; none where no server runs with this data folder."""
    try:
        found = differing(settings)
    except SettingsError:  # the secret key, of which another finding tells
        return []
    names = sorted({name for each in found for name in each})
    if names:
        return [("note", f"settings: the server that runs here has another value of {', '.join(names)}; restart it, or "
                         "run this with its settings")]  # fmt: skip
    return [("ok", "settings: those of the server that runs here")] if found else []
