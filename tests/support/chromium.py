"""A headless Chromium for tests of pages: started without a network, spoken to through a pair of pipes (the DevTools protocol)."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Page", "page_of"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SECONDS = 60.0


class Page:
    """A page in the browser.

    Attributes:
        complaints: what the page reported: exceptions, and messages of the console and of the content security policy.
    """

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive = send, receive
        self._buffer, self._number, self._session = b"", 0, ""
        self.complaints: list[str] = []

    def open(self, path: Path) -> None:
        """Show a file, and wait until its script has run."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Page"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=1200, height=1600, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url=path.as_uri())
        end = time.monotonic() + SECONDS
        while self.evaluate("document.documentElement?.dataset.ready") != "true":
            assert time.monotonic() < end, f"the script of the page did not run to its end: {self.complaints}"
            time.sleep(0.05)

    def call(self, method: str, **parameters: object) -> Any:
        """The result of a method of the protocol."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + SECONDS
        while True:
            answer = self._next(end)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _next(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._receive], [], [], max(end - time.monotonic(), 0))
            assert ready, "the browser does not answer"
            data = os.read(self._receive, 1 << 20)
            assert data, "the browser has ended"
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(line)

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("method") in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"):
            self.complaints.append(json.dumps(event["params"]))

    def end(self) -> None:
        """Let the browser end itself and its helpers."""
        self._session = ""
        self.call("Browser.close")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def click(self, selector: str) -> None:
        """Press the mouse on an element, as a person does."""
        x, y = self._middle(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def wheel(self, selector: str, delta: float) -> None:
        """Turn the wheel over an element."""
        x, y = self._middle(selector)
        self.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=delta)

    def hover(self, selector: str, right: float, down: float) -> None:
        """Move the mouse to a point of an element, as shares of its width and height."""
        found = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y = self.evaluate(f"(r => [r.x + r.width * {right}, r.y + r.height * {down}])({found})")
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def _middle(self, selector: str) -> tuple[float, float]:
        found = f"const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}})"
        x, y = self.evaluate(
            f"(() => {{ {found}; const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] }})()"
        )
        return x, y

    def screenshot(self) -> bytes:
        """What is to be seen, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])


@contextmanager
def page_of(path: Path, profile: Path) -> Generator[Page]:
    """A page in a browser of its own, whose files are kept in the folder `profile`; the test is skipped where there is none."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"there is no browser: none of {', '.join(NAMES)} is on the path (Debian: apt install chromium)")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
    ]
    command = [program, *options, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]
    (commands_out, commands_in), (answers_out, answers_in) = _pipe(), _pipe()
    actions: list[tuple[int, int, int] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_DUP2, 1, 2),
        (os.POSIX_SPAWN_DUP2, commands_out, 3),  # these two are what the option for pipes means
        (os.POSIX_SPAWN_DUP2, answers_in, 4),
    ]
    browser = os.posix_spawn(program, command, os.environ, file_actions=actions, setpgroup=0)
    os.close(commands_out)
    os.close(answers_in)
    try:
        page = Page(commands_in, answers_out)
        page.open(path)
        yield page
        page.end()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(browser, signal.SIGKILL)
        os.waitpid(browser, 0)
        os.close(commands_in)
        os.close(answers_out)


def _pipe() -> tuple[int, int]:
    """Both ends of a pipe, under numbers that the browser has no use for."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return moved[0], moved[1]
