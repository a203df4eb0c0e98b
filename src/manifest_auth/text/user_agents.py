"""Names of the browser and system of a ``User-Agent``, in common words.

The text is not verified, since any caller can send any text.
"""

from __future__ import annotations

from typing import NamedTuple

#: From a mark of the header to the browser. A browser that also uses other browsers' names comes before them.
_BROWSERS = (
    ("OculusBrowser/", "Meta Quest Browser"),
    ("Wolvic/", "Wolvic"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Ddg/", "DuckDuckGo"),
    ("OPR/", "Opera"),
    ("EdgiOS/", "Edge"),
    ("EdgA/", "Edge"),
    ("Edg/", "Edge"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
#: From a mark to the system, likewise.
_SYSTEMS = (
    ("Quest", "Meta Quest"),
    ("PICO", "PICO"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Macintosh", "Mac"),
    ("Linux", "Linux"),
)
_LONGEST = 40


class Browser(NamedTuple):
    """A browser and its system; both can be empty. ``name``: the browser's name, or the name that another program gives
    itself."""

    name: str
    system: str


def browser_of(user_agent: str) -> Browser:
    """Returns the browser and system that a ``User-Agent`` names."""
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if user_agent.startswith("Mozilla/"):
        return Browser(next((name for mark, name in _BROWSERS if mark in user_agent), ""), system)
    return Browser(user_agent.partition("/")[0].strip()[:_LONGEST], system)
