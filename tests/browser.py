"""Chromium without a window, told what to do over a pair of pipes: its own protocol, and nothing but the standard library.

It is given a profile of its own and no network; where there is no Chromium, or it does not start, a test is skipped.
"""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PIPES = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
"""What starts it: the protocol is spoken on the descriptors 3 and 4."""
FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--hide-scrollbars", "--force-color-profile=srgb", "about:blank",
)  # fmt: skip


def chromium():
    """The program, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A running Chromium; `tab()` opens a page in it."""

    def __init__(self, program, profile):
        # above 4, so that neither end is written over before it is moved
        pairs = [os.pipe(), os.pipe()]
        (r, self._out), (self._in, w) = ((fcntl.fcntl(a, fcntl.F_DUPFD, 10), fcntl.fcntl(b, fcntl.F_DUPFD, 10)) for a, b in pairs)
        for end in (*pairs[0], *pairs[1]):
            os.close(end)
        call = [sys.executable, "-c", PIPES, str(r), str(w), program, f"--user-data-dir={profile}", *FLAGS]
        self.process = subprocess.Popen(call, pass_fds=(r, w), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(r)
        os.close(w)
        self._buffer, self._number, self.events = b"", 0, []

    def _read(self, seconds):
        """The next message."""
        end = time.monotonic() + seconds
        while b"\0" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._in], [], [], left)[0]:
                raise TimeoutError(f"Chromium has said nothing for {seconds} s")
            chunk = os.read(self._in, 2**20)
            if not chunk:
                raise EOFError("Chromium has ended")
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def call(self, method, session=None, seconds=60, **parameters):
        """A command and its answer; events that come before it are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        while (answer := self._read(seconds)).get("id") != self._number:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def wait(self, method, session, seconds=60):
        """An event of a tab that has not been waited for yet."""
        while True:
            for event in self.events:
                if event.get("method") == method and event.get("sessionId") == session:
                    self.events.remove(event)
                    return event["params"]
            self.events.append(self._read(seconds))

    @contextlib.contextmanager
    def tab(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable", session)
        try:
            yield Tab(self, session)
        finally:
            self.call("Target.closeTarget", targetId=target)

    def close(self):
        with contextlib.suppress(Exception):
            self.call("Browser.close", seconds=5)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.process.kill()
        self.process.wait()
        os.close(self._in)
        os.close(self._out)


class Tab:
    def __init__(self, browser, session):
        self.browser, self.session = browser, session

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def look(self, width=1280, height=900, scheme="light", scripts=True):
        """From now on at this size, in this colour scheme, with scripts or without."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)

    def open(self, path):
        """Load a file, wholly; what it asked for is in `asked`."""
        self.browser.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.browser.wait("Page.loadEventFired", self.session)

    @property
    def asked(self):
        """Addresses that were asked for since the page was opened."""
        self.evaluate("0")
        events = (e for e in self.browser.events if e.get("sessionId") == self.session)
        return [e["params"]["request"]["url"] for e in events if e.get("method") == "Network.requestWillBeSent"]

    @property
    def complaints(self):
        """What the page's scripts threw, and what its policy refused."""
        self.evaluate("0")
        events = [e for e in self.browser.events if e.get("sessionId") == self.session]
        thrown = [e["params"]["exceptionDetails"]["text"] for e in events if e.get("method") == "Runtime.exceptionThrown"]
        return thrown + [e["params"]["entry"]["text"] for e in events if e.get("method") == "Log.entryAdded"]

    def evaluate(self, script):
        """The value of an expression, awaited."""
        said = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in said:
            raise RuntimeError(said["exceptionDetails"].get("exception", {}).get("description") or said["exceptionDetails"]["text"])
        return said["result"].get("value")

    def mouse(self, x, y, click=False):
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") * click:
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def key(self, name):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name)

    def picture(self, path):
        """The whole page, as PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    def printed(self, path):
        pdf = self.call("Page.printToPDF", preferCSSPageSize=True, paperWidth=8.27, paperHeight=11.69)
        path.write_bytes(base64.b64decode(pdf["data"]))


def started(profile):
    """A browser; a test that asks is skipped where there is none."""
    program = chromium()
    if program is None:
        pytest.skip(f"there is no Chromium here ({', '.join(NAMES)} are not on the PATH)")
    browser = Browser(program, profile)
    try:
        browser.call("Browser.getVersion", seconds=30)
    except (EOFError, TimeoutError, OSError) as error:
        browser.close()
        pytest.skip(f"{program} does not start here ({error})")
    return browser
