"""The page in a real browser: no error, no request, nothing wider than a phone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.report.content import ReportContent
from flows.report.page import render
from flows.report.words import LANGUAGES

pytestmark = pytest.mark.services

Builder = Callable[..., ReportContent]
SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
MEASURED = """JSON.stringify({
  wide: document.documentElement.scrollWidth,
  left: [...document.querySelectorAll('.track:not(.scale) .plot')].map(
    (plot) => Math.round(plot.getBoundingClientRect().left)),
  right: [...document.querySelectorAll('.track:not(.scale) .plot')].map(
    (plot) => Math.round(plot.getBoundingClientRect().right)),
  empty: [...document.images].filter((image) => !image.naturalWidth).length,
})"""


class Browser:
    """Headless Chromium over its debugging pipe: JSON messages that end in a zero byte."""

    def __init__(self, profile: Path) -> None:
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        self.process = subprocess.Popen(
            [
                *("bash", "-c", f'exec "$@" 3<&{to_browser} 4>&{from_browser}', "bash"),
                *("chromium", *SWITCHES, f"--user-data-dir={profile}", "about:blank"),
            ],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._waiting = b""
        self._last = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; what happens meanwhile goes into `events`."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def open(self, page: Path, width: int) -> dict[str, Any]:
        """Load the page at a width in CSS pixels; returns what was measured in it."""
        self.events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=800,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call("Page.navigate", url=page.as_uri())
        until = time.monotonic() + 20
        while not self.named("Page.loadEventFired"):
            assert time.monotonic() < until, "the page did not load within 20 s"
            time.sleep(0.02)
            self.call("Runtime.evaluate", expression="0")
        value = self.call("Runtime.evaluate", expression=MEASURED)["result"]["value"]
        measured: dict[str, Any] = json.loads(value)
        return measured

    def named(self, method: str) -> list[dict[str, Any]]:
        """The events of one name since the page was opened."""
        return [event["params"] for event in self.events if event.get("method") == method]

    def close(self) -> None:
        """End the browser and its children."""
        self._session = None
        os.write(self._write, json.dumps({"id": 0, "method": "Browser.close"}).encode() + b"\0")
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self._write)
        os.close(self._read)

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._waiting:
            piece = os.read(self._read, 1 << 16)
            assert piece, "the browser has gone"
            self._waiting += piece
        message, self._waiting = self._waiting.split(b"\0", 1)
        found: dict[str, Any] = json.loads(message)
        return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("seconds", [48.0, 7200.0])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_loads_without_error_or_request_and_fits_the_screen(
    talking_head: Builder,
    browser: Browser,
    tmp_path: Path,
    language: Any,
    seconds: float,
    width: int,
) -> None:
    file = tmp_path / "report.html"
    file.write_text(render(talking_head(seconds), language), encoding="utf-8")
    measured = browser.open(file, width)

    errors = browser.named("Runtime.exceptionThrown") + [
        entry for entry in browser.named("Log.entryAdded") if entry["entry"]["level"] != "info"
    ]
    assert errors == []
    requested = {sent["request"]["url"] for sent in browser.named("Network.requestWillBeSent")}
    assert {url for url in requested if not url.startswith("data:")} == {file.as_uri()}
    assert measured["wide"] <= width
    assert measured["empty"] == 0
    assert len(set(measured["left"])) == len(set(measured["right"])) == 1


def test_an_injected_script_would_not_run(
    talking_head: Builder, browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    html = render(talking_head(), "en").replace(
        "</main>", "<script>document.title = 'taken over'</script></main>"
    )
    file.write_text(html, encoding="utf-8")
    browser.open(file, 1200)
    title = browser.call("Runtime.evaluate", expression="document.title")["result"]["value"]
    assert title.startswith("Recording report")
