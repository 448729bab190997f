"""A headless Chromium for tests of pages, spoken to over its DevTools protocol on a pair of pipes."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DRAWN = "document.documentElement?.dataset.charts === 'ready'"
LOADED = "document.readyState === 'complete'"  # of a page without charts
PATIENCE_S = 90.0  # for one answer, on a machine that others use


def program() -> str | None:
    """The browser's path, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """One browser with one page. Everything that the page complains of or asks for is kept."""

    def __init__(self, path: str) -> None:
        self.problems: list[str] = []  # console errors and warnings, uncaught exceptions, refused scripts
        self.requests: list[str] = []  # of anything but the page itself and data: URLs
        self._path = path
        self._held = b""
        self._number = 0
        self._session = ""

    def __enter__(self) -> Chromium:
        self._home = tempfile.TemporaryDirectory(prefix="loadtool-chromium-", ignore_cleanup_errors=True)
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        words = [
            self._path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-extensions", "--force-device-scale-factor=1", "--hide-scrollbars",
            f"--user-data-dir={self._home.name}", "--remote-debugging-pipe", "about:blank",
        ]  # fmt: skip
        # Chromium reads from descriptor 3 and writes to 4; the shell puts ours there.
        shell = 'exec 3<&"$0" 4>&"$1"; shift; exec "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, str(theirs_in), str(theirs_out), *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=(theirs_in, theirs_out), start_new_session=True,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            self._attach()
        except BaseException:
            self.close()
            raise
        return self

    def _attach(self) -> None:
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the browser with everything that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
        self._home.cleanup()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to a command of the protocol; events that come before it are noted."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                found: dict[str, Any] = answer["result"]
                return found

    def open(
        self, page: Path, *, width: int = 1200, height: int = 900, dark: bool = False, ready: str = DRAWN
    ) -> None:
        """Load a page and wait until it is ready: its charts are drawn, unless told otherwise."""
        self.size(width, height, dark=dark)
        self.problems.clear()
        self.requests.clear()
        self.call("Page.navigate", url=page.as_uri())
        self.wait_for(f"location.href === {json.dumps(page.as_uri())} && ({ready})")

    def size(self, width: int, height: int, *, dark: bool = False) -> None:
        """How large the window is, and which theme the system has."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media="", features=[scheme])

    def value(self, script: str) -> Any:
        """What an expression gives on the page."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait_for(self, script: str) -> None:
        """Until an expression is true; fails after PATIENCE_S."""
        end = time.monotonic() + PATIENCE_S
        while not self.value(f"Boolean({script})"):
            assert time.monotonic() < end, f"never true: {script}; {self.problems}"
            self.call("Runtime.evaluate", expression="new Promise(r => setTimeout(r, 20))", awaitPromise=True)

    def point(self, x: float, y: float) -> None:
        """Move the mouse there."""
        for step in (-3, 0):
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + step, y=y)

    def press(self, key: str) -> None:
        """Press a key and let go of it."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def picture(self, file: Path, *, whole: bool = False) -> None:
        """A screenshot of the window, or of the whole page."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))

    def paper(self, file: Path) -> None:
        """The page as it prints, as PDF on A4."""
        made = self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        file.write_bytes(base64.b64decode(made["data"]))

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE_S
        while b"\0" not in self._held:
            ready, _, _ = select.select([self._in], [], [], max(end - time.monotonic(), 0))
            assert ready, "Chromium does not answer"
            data = os.read(self._in, 1 << 20)
            assert data, "Chromium has ended"
            self._held += data
        message, _, self._held = self._held.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        self._note(found.get("method", ""), found.get("params", {}))
        return found

    def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.problems.append(f"{params['type']}: {[a.get('value') for a in params['args']]}")
        elif method == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.problems.append(f"{params['entry']['level']}: {params['entry']['text']}")
        elif method == "Page.javascriptDialogOpening":
            self.problems.append(f"dialog: {params['message']}")
        elif method == "Network.requestWillBeSent":
            url = str(params["request"]["url"])
            if not url.startswith(("data:", "blob:")) and params.get("type") != "Document":
                self.requests.append(url)
