"""Drives Chromium over two pipes (DevTools protocol) as a user would: opens pages, types, and clicks buttons."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe",
)  # fmt: skip
#: Options for checking pages one after the other. A single process renders all of them, instead of a new one for nearly
#: each page, and nothing is written to disk. A page inside another site's page gets no cookies. If available, Chromium
#: without windows, menus, and extensions is used, which needs a quarter less processor time.
ONE_BY_ONE = (
    "--process-per-site", "--renderer-process-limit=1", "--disable-site-isolation-trials",
    "--disable-features=SpareRendererForSitePerProcess", "--incognito",
)  # fmt: skip
#: The browser expects its pipes at file descriptors 3 and 4, which the parent might use for other files.
_LAUNCH = """
import fcntl, os, sys
pipes = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for number, pipe in zip((3, 4), pipes):
    os.dup2(pipe, number)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Navigated(Exception):
    """The page was closed during the call."""


class Chromium:
    """A browser tab with a new profile. :meth:`new_tab` opens more, and ``options`` are added to the command line.

    ``requests`` are the URLs that it requested, ``complaints`` its console messages, such as policy violations,
    ``document`` the method and URL of the current page, and ``from_cache`` the IDs of requests served from its cache.
    """

    def __init__(self, profile: Path, *options: str) -> None:
        light = ["chromium-headless-shell"] if options[: len(ONE_BY_ONE)] == ONE_BY_ONE else []
        program = next(filter(None, map(shutil.which, [*light, "chromium", "google-chrome"])), None)
        assert program, "the tests need Chromium (Debian: apt-get install chromium)"
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        launch = [sys.executable, "-c", _LAUNCH, str(theirs_in), str(theirs_out)]
        command = [*launch, program, *_OPTIONS, *options, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            command, pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._number, self._buffer, self._session = 0, b"", ""
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.from_cache: list[str] = []
        self.document = ("", "")
        self._held: tuple[str, ...] = ()
        self._loader = ""  # of the tab's current document

    def __enter__(self) -> Self:
        targets = self._call("Target.getTargets")["targetInfos"]
        [page] = [target for target in targets if target["type"] == "page"]
        self._attach(page["targetId"])
        return self

    def new_tab(self) -> str:
        """Open another tab, and switch to it. Returns its name for :meth:`speak_to`."""
        self._session = ""
        self._attach(self._call("Target.createTarget", url="about:blank")["targetId"])
        return self._session

    def speak_to(self, tab: str) -> None:
        """Apply the other methods to this tab from now on."""
        self._session = tab

    def _attach(self, target: str) -> None:
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self._call(f"{domain}.enable")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        os.close(self._in)
        os.close(self._out)

    def open(self, address: str) -> None:
        """Open a URL, as if typed into the address bar; returns once the browser is there, or stays."""
        if "#" in address:  # otherwise, it might only scroll
            self._call("Page.navigate", url="about:blank")
        told = self._call("Page.navigate", url=address)
        while "errorText" not in told and self._loader != told["loaderId"]:
            event = self._next()
            self._note(event.get("method"), event.get("params", {}))

    def open_without_policy(self, address: str) -> None:
        """Like :meth:`open`, but the page's content security policy doesn't apply to the test's scripts."""
        self._call("Page.setBypassCSP", enabled=True)
        self.open(address)

    def scripts(self, *, on: bool) -> None:
        """Turn page scripts on or off. A test can still evaluate expressions."""
        self._call("Emulation.setScriptExecutionDisabled", value=not on)

    def scheme(self, name: str) -> None:
        """Set the color scheme, ``light`` or ``dark``."""
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def size(self, width: int, height: int = 720) -> None:
        """Set the window's size in CSS pixels."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def hold(self, start: str) -> None:
        """Block navigation to URLs with this prefix, in addition to earlier calls, until called with ``""``. A page
        that redirects automatically then stays, so that it can be checked."""
        self._held = (*self._held, start) if start else ()
        if self._held:
            self._call("Fetch.enable", patterns=[{"urlPattern": f"{each}*"} for each in self._held])
        else:
            self._call("Fetch.disable")

    def key(self, name: str, *, shift: bool = False) -> None:
        """Press a key: ``Tab``, ``Enter``, or ``Space``."""
        codes = {"Tab": 9, "Enter": 13, "Space": 32}
        typed = {"Enter": "\r", "Space": " "}.get(name, "")
        key = " " if name == "Space" else name
        for kind in ("keyDown", "keyUp"):
            self._call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=name, windowsVirtualKeyCode=codes[name],
                modifiers=8 if shift else 0, **({"text": typed} if typed and kind == "keyDown" else {}),
            )  # fmt: skip

    def phone(self, width: int, height: int) -> None:
        """Emulate a small touch screen."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2, mobile=True)

    def screenshot(self, element: str = "html") -> bytes:
        """A PNG screenshot of an element."""
        box = self.value(
            f"(b => ({{x: b.x + scrollX, y: b.y + scrollY, width: b.width, height: b.height}}))"
            f"(document.querySelector({json.dumps(element)}).getBoundingClientRect())"
        )
        shot = self._call("Page.captureScreenshot", captureBeyondViewport=True, clip={**box, "scale": 1})
        return base64.b64decode(shot["data"])

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        done = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def until(self, expression: str, seconds: float = 60) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + seconds
        while not self._value_now(expression):
            assert time.monotonic() < deadline, (expression, self.text(), self.complaints)
            time.sleep(0.02)

    def _value_now(self, expression: str) -> Any:
        """The value of an expression, or empty while the browser navigates."""
        try:
            return self.value(expression)
        except Navigated:
            return None

    def text(self) -> str:
        """The visible text."""
        return str(self.value("document.body?.innerText"))

    def shows(self, text: str) -> None:
        """Wait until this text is visible."""
        self.until(f"document.body?.innerText.includes({json.dumps(text)})")

    def type(self, field: str, text: str) -> None:
        """Replace a field's text by typing."""
        self.press(field)
        self.value(f"document.querySelector({json.dumps(field)}).select()")
        self._call("Input.insertText", text=text)

    def press(self, element: str) -> None:
        """Click the middle of an element."""
        found = f"document.querySelector({json.dumps(element)})"
        self.value(f"{found}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        x, y = self.value(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({found}.getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def _send(self, method: str, parameters: dict[str, Any]) -> int:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        return self._number

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = self._send(method, parameters)
        while True:
            told = self._next()
            if told.get("id") == number:
                if "navigated" in told.get("error", {}).get("message", ""):
                    raise Navigated
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result
            self._note(told.get("method"), told.get("params", {}))

    def _next(self, seconds: float = 60) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], seconds)
            assert ready, "the browser says nothing any more"
            part = os.read(self._in, 65536)
            assert part, "the browser is gone"
            self._buffer += part
        first, _, self._buffer = self._buffer.partition(b"\0")
        told: dict[str, Any] = json.loads(first)
        return told

    def _note(self, event: str | None, told: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            asked = told["request"]
            if asked["url"].startswith(self._held):
                return
            self.requests.append(asked["url"])
            if told.get("type") == "Document":
                self.document = (asked["method"], asked["url"])
        elif event == "Network.requestServedFromCache" or (
            event == "Network.responseReceived" and told["response"]["fromDiskCache"]
        ):
            if told["requestId"] not in self.from_cache:
                self.from_cache.append(told["requestId"])
        elif event == "Page.frameNavigated" and "parentId" not in told["frame"]:
            self._loader = told["frame"]["loaderId"]
        elif event == "Fetch.requestPaused":  # 204: the browser stays on the page
            self._send("Fetch.fulfillRequest", {"requestId": told["requestId"], "responseCode": 204})
        elif event == "Log.entryAdded":
            self.complaints.append(told["entry"]["text"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled":
            self.complaints.append(str(told["args"]))
