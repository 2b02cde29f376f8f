"""Headless Chromium over its own debugging pipe: real keys and pointer, and everything it logs."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path

__all__ = ["Chromium", "find_chromium"]


def find_chromium():
    """Return the path of a Chromium or Chrome, or None."""
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        path = shutil.which(name)
        if path:
            return path
    return None


class Chromium:
    """A page in headless Chromium; `with Chromium(path, profile) as page`.

    What the page throws or logs as an error is kept in `errors`, what it asks the network for in `requests`.
    """

    def __init__(self, path, profile, *, size=(1200, 900), timeout=60):
        self._command = [
            str(path),
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--hide-scrollbars",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
            f"--window-size={size[0]},{size[1]}",
            "about:blank",
        ]
        self._timeout = timeout
        self._last = 0
        self._buffer = b""
        self._loaded = False
        self.errors: list[str] = []
        self.requests: list[str] = []

    def __enter__(self):
        # Chromium reads commands from descriptor 3 and writes answers to 4.
        their_in, self._out = os.pipe()
        self._in, their_out = os.pipe()
        # Both ends are moved out of the way before they are put there.
        high = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (their_in, their_out)]
        for end in (their_in, their_out):
            os.close(end)
        shell = f'exec 3<&{high[0]} 4>&{high[1]}; exec "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, "chromium", *self._command],
            pass_fds=high,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in high:
            os.close(end)
        self._session = None
        try:
            targets = self.send("Target.getTargets")["targetInfos"]
            page = next(each for each in targets if each["type"] == "page")
            attached = self.send("Target.attachToTarget", targetId=page["targetId"], flatten=True)
            self._session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.send(f"{domain}.enable")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def send(self, method, **parameters):
        """Send a command and return its answer."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        return self._until(lambda answer: answer.get("id") == self._last, method)

    def _until(self, wanted, what):
        end = time.monotonic() + self._timeout
        while True:
            while b"\0" in self._buffer:
                text, self._buffer = self._buffer.split(b"\0", 1)
                answer = json.loads(text)
                self._note(answer)
                if wanted(answer):
                    if "error" in answer:
                        raise RuntimeError(f"{what}: {answer['error']['message']}")
                    return answer.get("result", {})
            if not select.select([self._in], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError(f"no answer to {what} in {self._timeout} s")
            data = os.read(self._in, 1 << 20)
            if not data:
                raise RuntimeError(f"Chromium ended before it answered {what}")
            self._buffer += data

    def _note(self, answer):
        method, given = answer.get("method"), answer.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = given["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and given["type"] in ("error", "assert"):
            self.errors.append(str(given["args"]))
        elif method == "Log.entryAdded" and given["entry"]["level"] == "error":
            self.errors.append(given["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            url = given["request"]["url"]
            if not url.startswith(("data:", "blob:")):
                self.requests.append(url)
        elif method == "Page.loadEventFired":
            self._loaded = True

    def open(self, path):
        """Load a file and wait until it is there."""
        self._loaded = False
        self.send("Page.navigate", url=Path(path).resolve().as_uri())
        if not self._loaded:
            self._until(lambda answer: answer.get("method") == "Page.loadEventFired", "load")
        self.wait("document.readyState === 'complete'")

    def run(self, expression):
        """Evaluate JavaScript and return its value."""
        answer = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def wait(self, expression):
        """Wait until an expression is true."""
        end = time.monotonic() + self._timeout
        while not self.run(expression):
            if time.monotonic() > end:
                raise TimeoutError(f"never true: {expression}")
            time.sleep(0.03)

    def press(self, key, *, modifiers=0):
        """Press and release a key, as a person does."""
        codes = {"Enter": 13, "Escape": 27, "Tab": 9, "End": 35, "Home": 36}
        codes |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, " ": 32}
        text = {"Enter": "\r", " ": " "}.get(key, key if len(key) == 1 else "")
        given = {"key": key, "modifiers": modifiers, "windowsVirtualKeyCode": codes.get(key, 0), "code": key}
        self.send("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **given)
        self.send("Input.dispatchKeyEvent", type="keyUp", **given)

    def type(self, text):
        """Type text into what has the focus."""
        for letter in text:
            self.press(letter)

    def point(self, selector, *, across=0.5, down=0.5, click=False):
        """Move the pointer over an element, and click it if asked."""
        self.run(
            f"document.querySelector({selector!r}).scrollIntoView({{block: 'center', behavior: 'instant'}})"
        )
        x, y = self.run(
            f"(() => {{ const box = document.querySelector({selector!r}).getBoundingClientRect();"
            f"return [box.left + {across} * box.width, box.top + {down} * box.height]; }})()"
        )
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for event in ("mousePressed", "mouseReleased") if click else ():
            self.send("Input.dispatchMouseEvent", type=event, x=x, y=y, button="left", clickCount=1)

    def click(self, selector):
        """Click an element."""
        self.point(selector, click=True)

    def media(self, *, scheme="light", kind=""):
        """Show the page as on a light or dark system, on a screen or (`kind="print"`) on paper."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.send("Emulation.setEmulatedMedia", media=kind, features=features)

    def resize(self, width, height):
        """Give the window another size."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def screenshot(self, path, *, whole=False):
        """Save what is shown, or the whole page, as PNG."""
        answer = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(answer["data"]))
