"""A headless Chromium, driven over its DevTools protocol through two pipes: no driver, no package, no port.

    with Browser() as browser:
        page = browser.open("/tmp/flow.html", width=1366, height=768)
        page.evaluate("document.title")
        page.key("ArrowRight")
"""

import base64
import itertools
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-dev-shm-usage", "--remote-debugging-pipe",
)  # fmt: skip
KEYS = {"ArrowRight": 39, "ArrowLeft": 37, "ArrowUp": 38, "ArrowDown": 40, " ": 32, "Home": 36, "End": 35, "Enter": 13,
        "Escape": 27, "Tab": 9}  # fmt: skip
_PATIENCE = 60.0  # seconds until an answer counts as missing


def find():
    """The path of a Chromium or Chrome, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((path for path in map(shutil.which, names) if path), None)


class Browser:
    """One Chromium process with a profile of its own, gone at the end."""

    def __enter__(self):
        self.profile = tempfile.mkdtemp(prefix="viz-chromium-")
        to_child, self._write = os.pipe()
        self._read, from_child = os.pipe()

        def arrange():  # the browser reads its commands on 3 and answers on 4
            os.dup2(os.dup(to_child), 103)
            os.dup2(os.dup(from_child), 104)
            os.dup2(103, 3)
            os.dup2(104, 4)

        held = []  # `pass_fds` must be open here already, whatever they are
        while not held or held[-1] <= 4:
            held.append(os.open(os.devnull, os.O_RDONLY))
        self.process = subprocess.Popen(
            [find(), *FLAGS, f"--user-data-dir={self.profile}", "about:blank"], preexec_fn=arrange, pass_fds=(3, 4),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        for handle in (to_child, from_child, *held):
            os.close(handle)
        self._numbers, self._buffer, self.events = itertools.count(1), b"", []
        return self

    def __exit__(self, *exception):
        try:
            self.call("Browser.close")
            self.process.wait(10)
        except (OSError, RuntimeError, TimeoutError, subprocess.TimeoutExpired):
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, session=None, **parameters):
        """Send a command and return its result; what else arrives is kept in `events`."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        while True:
            answer = self._receive(_PATIENCE)
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def drain(self):
        """Take in what has arrived meanwhile."""
        while b"\0" in self._buffer or select.select([self._read], [], [], 0.0)[0]:
            self.events.append(self._receive(1.0))

    def _receive(self, patience):
        end = time.monotonic() + patience
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError("the browser does not answer")
            chunk = os.read(self._read, 1 << 20)
            if not chunk:
                raise RuntimeError("the browser has ended")
            self._buffer += chunk
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def open(self, path, width=1366, height=768, dark=False, media=""):
        """A new tab with this file, loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        page = Page(self, self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(f"{domain}.enable")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        page.call("Page.navigate", url=f"file://{os.path.abspath(path)}")
        page.wait("document.readyState === 'complete' && !document.getElementById('program')")  # unpacked, and run
        return page


class Page:
    """One tab: run JavaScript in it, press its keys, move its mouse, look at it."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description") or details["text"])
        return result["result"].get("value")

    def wait(self, condition, seconds=20.0):
        """Until a JavaScript condition holds."""
        end = time.monotonic() + seconds
        while not self.evaluate(f"Boolean({condition})"):
            if time.monotonic() > end:
                raise TimeoutError(f"never came true: {condition}")
            time.sleep(0.03)

    def key(self, key):
        code = KEYS.get(key, ord(key.upper()) if len(key) == 1 else 0)
        text = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        named = {"key": key, "windowsVirtualKeyCode": code, "code": {" ": "Space"}.get(key, key)}
        self.call("Input.dispatchKeyEvent", type="keyDown", **named, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **named)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def centre(self, selector):
        """The middle of an element on the screen."""
        return self.evaluate(
            f"(() => {{ const r = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def move(self, selector):
        self.mouse("mouseMoved", *self.centre(selector))

    def click(self, selector, count=1):
        x, y = self.centre(selector)
        for number in range(1, count + 1):
            self.mouse("mousePressed", x, y, button="left", clickCount=number)
            self.mouse("mouseReleased", x, y, button="left", clickCount=number)

    def drag(self, start, end):
        self.mouse("mousePressed", *start, button="left", clickCount=1)
        for part in (0.3, 0.7, 1.0):
            self.mouse("mouseMoved", *[a + (b - a) * part for a, b in zip(start, end)], button="left", buttons=1)
        self.mouse("mouseReleased", *end, button="left", clickCount=1)

    def screenshot(self, path=None):
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        if path:
            with open(path, "wb") as file:
                file.write(data)
        return data

    def requests(self):
        """Addresses of everything that this tab asked for."""
        self.browser.drain()
        return [e["params"]["request"]["url"] for e in self._events("Network.requestWillBeSent")]

    def complaints(self):
        """What stands in the console as an error or a warning."""
        self.browser.drain()
        found = [e["params"]["exceptionDetails"]["text"] for e in self._events("Runtime.exceptionThrown")]
        found += [e["params"]["entry"]["text"] for e in self._events("Log.entryAdded")]
        return found + [str(e["params"]["args"]) for e in self._events("Runtime.consoleAPICalled")]

    def _events(self, method):
        return [e for e in self.browser.events if e.get("method") == method and e.get("sessionId") == self.session]
