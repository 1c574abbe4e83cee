"""A headless Chromium, steered through two pipes by its DevTools protocol: no driver and no network needed.

Protocol: https://chromedevtools.github.io/devtools-protocol, messages as JSON, each ended by a zero byte.
"""

import base64
import io
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip
LIMIT = 60  # seconds for anything to happen


def chromium_path() -> str:
    """The Chromium of this machine; the test is skipped where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no {NAMES[0]} on PATH")
    return found


class Chromium:
    """One page in a browser. Attributes: requests (URLs), how many of them a policy stopped, and complaints, so far."""

    def __init__(self, profile: Path, size: tuple[int, int] = (1280, 860), scale: float = 1, touch: bool = False):
        to_browser, self.writer = os.pipe()
        self.reader, from_browser = os.pipe()
        command = [chromium_path(), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "bash", *command],
            pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.stopped = 0
        self.buffer, self.number, self.session = b"", 0, None
        pages = self.call("Target.getTargets")["targetInfos"]
        target = next(page["targetId"] for page in pages if page["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(size, scale, touch)

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(LIMIT)
        os.close(self.writer)
        os.close(self.reader)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; events on the way are noted."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + LIMIT
        while True:
            answer = self._receive(until)
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self._note(answer)

    def _receive(self, until: float) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.reader], [], [], max(0, until - time.monotonic()))
            assert ready, "the browser does not answer"
            part = os.read(self.reader, 1 << 20)
            assert part, "the browser has ended"
            self.buffer += part
        text, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(text)

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method", ""), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Network.loadingFailed":
            self.stopped += params.get("blockedReason") == "csp"
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(part.get("value", part)) for part in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"])
        elif method == "Page.javascriptDialogOpening":
            self.complaints.append(f"dialog: {params['message']}")

    def resize(self, size: tuple[int, int], scale: float = 1, touch: bool = False) -> None:
        width, height = size
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=touch
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=touch)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Until the expression is true; polled, since the page may be busy drawing."""
        until = time.monotonic() + LIMIT
        while not self.evaluate(expression):
            assert time.monotonic() < until, f"never true: {expression}; the page complains: {self.complaints}"
            time.sleep(0.05)

    def screenshot(self, selector: str = "body") -> np.ndarray:
        """The picture of an element, (height, width, 3) uint8."""
        box = f"(() => {{ const r = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
        box += " return { x: r.x + scrollX, y: r.y + scrollY, width: r.width, height: r.height, scale: 1 }; })()"
        data = self.call("Page.captureScreenshot", format="png", clip=self.evaluate(box), captureBeyondViewport=True)
        return np.array(Image.open(io.BytesIO(base64.b64decode(data["data"]))).convert("RGB"))

    def key(self, key: str) -> None:
        text = {"text": key} if len(key) == 1 else {}
        code = {"Enter": 13, "Escape": 27, "Tab": 9}.get(key, 0)
        extra = {"text": "\r"} if key == "Enter" else text
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **extra)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def drag(self, start: tuple[float, float], end: tuple[float, float], steps: int = 5) -> None:
        """With the left mouse button, in pixels of the window."""
        self.mouse("mousePressed", start, 1)
        for n in range(1, steps + 1):
            self.mouse("mouseMoved", tuple(a + (b - a) * n / steps for a, b in zip(start, end, strict=True)), 1)
        self.mouse("mouseReleased", end, 0)

    def mouse(self, kind: str, at: tuple[float, ...], buttons: int) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], button="left", buttons=buttons, clickCount=1)

    def touch(self, kind: str, *at: tuple[float, float]) -> None:
        self.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y} for x, y in at])
