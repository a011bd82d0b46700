"""A browser for a test: Chromium without a window, driven over a pipe with its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.slowness import SLOWNESS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
KEYS = {"ArrowRight": 39, "ArrowLeft": 37, "Home": 36, "End": 35}
PATIENCE = 60.0 * SLOWNESS
WIRED = """import fcntl, os, sys
asking, told = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3])
os.dup2(asking, 3), os.dup2(told, 4)
os.execvp(sys.argv[3], sys.argv[3:])"""  # the file descriptors on which the browser expects its pipe


class Browser:
    """One page in a browser; the messages on its console are kept."""

    def __init__(self, process: subprocess.Popen[bytes], reading: int, writing: int) -> None:
        self._process, self._writing = process, writing
        self._messages = os.fdopen(reading, "rb")
        self._number, self._session = 0, ""
        self.complaints: list[str] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send one request and wait for its answer; keep the events that arrive before it."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _next(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self._messages.read(1)) != b"\0":
            assert byte, "the browser has ended"
            text += byte
        answer: dict[str, Any] = json.loads(text)
        return answer

    def _note(self, event: dict[str, Any]) -> None:
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.complaints.append(str(parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.complaints.append(str(parameters["entry"]))
        elif method == "Network.requestWillBeSent" and not parameters["request"]["url"].startswith(("file:", "data:")):
            self.complaints.append(f"the page asks for {parameters['request']['url']}")

    def open(self, path: Path, width: int, height: int) -> None:
        """Show the file at *path* in a window of this size."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.ask("Page.navigate", url=path.as_uri())
        deadline = time.monotonic() + PATIENCE
        while self.value("[document.readyState, location.href.split('#')[0]]") != ["complete", path.as_uri()]:
            assert time.monotonic() < deadline, f"{path} does not appear"
            time.sleep(0.01)

    def close(self) -> None:
        """End the browser, and read its output to the end."""
        self._session = ""
        self.ask("Browser.close")
        self._messages.read()
        self._messages.close()

    def press(self, key: str) -> None:
        """Press a key and release it."""
        for kind in ("rawKeyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=KEYS[key])

    def value(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self) -> bytes:
        """Return what the page shows, as a PNG."""
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])


@contextlib.contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Start Chromium, with all its files in *folder*; skip the test if it is not installed."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("there is no Chromium (apt-get install chromium)")
    hearing, told = os.pipe()
    asking, asked = os.pipe()
    words = [sys.executable, "-c", WIRED, str(asking), str(told), found,
             "--headless=new", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions", "--disable-background-networking",
             "--hide-scrollbars", f"--user-data-dir={folder}/profile", "--remote-debugging-pipe"]  # fmt: skip
    environment = {
        **os.environ,
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "DBUS_SESSION_BUS_ADDRESS": "disabled:",
    }
    process = subprocess.Popen(words, pass_fds=(asking, told), env=environment, stderr=subprocess.DEVNULL)
    os.close(asking)
    os.close(told)
    try:
        opened = Browser(process, hearing, asked)
        yield opened
        opened.close()
    finally:
        os.close(asked)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Give one browser to the tests of a file: its start takes longer than they do."""
    if SLOWNESS > 1:
        pytest.skip("a browser takes an hour on an emulated machine, and shows the same there")
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened
