"""The built app in Chromium against the mini-app's own stand-in nodes (miniapp/tests/fixture-server.mjs).

What a real estate cannot be made to do in seconds is made here: nodes that disagree, receipts that do not hold, every
page with a full history. Nothing is mocked in the page: it signs, and verifies real proofs by itself.
"""

from __future__ import annotations

import json
import random
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request

import build
from cluster import PORTS
from tests.browser.phone import AXE

CODE = "246810"
"""The sign-in code that the stand-in's organisations send."""
START_S = 20.0


@pytest.fixture(scope="session")
def web_build() -> None:
    """The mini-app as a node would serve it."""
    build.build("web")


@pytest.fixture
def base(web_build: None) -> Iterator[str]:
    """The address of the first stand-in node; each test has an estate of its own."""
    port = _free_ports()
    command = [str(build.find_node() / "node"), "tests/fixture-server.mjs", str(port)]
    server = subprocess.Popen(command, cwd=build.MINIAPP, stdout=subprocess.DEVNULL)
    try:
        _wait_for(f"http://127.0.0.1:{port}/healthz")
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait()


def _free_ports() -> int:
    """The first of three neighbouring ports that nobody uses."""
    for port in random.sample(PORTS, len(PORTS)):
        if all(_is_free(port + offset) for offset in range(3)):
            return port
    raise RuntimeError("no free ports on this machine")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"{url} does not answer")


class App:
    """A page of the app, and what a test does with it."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._note_host)
        page.on("console", self._listen)

    def _note_host(self, request: Request) -> None:
        # Pictures that the page made by itself (data:, blob:) ask nobody.
        if request.url.startswith("http"):
            self.hosts.add(request.url.split("/")[2])

    def _listen(self, said: ConsoleMessage) -> None:
        if "Content Security" in said.text:
            self.errors.append(said.text)

    def go(self, path: str = "pages/home/index") -> None:
        """Open a page by its address."""
        self.page.goto(f"{self.base}#/{path}")

    @property
    def view(self) -> Locator:
        """The page in front."""
        return self.page.locator(".shell-main > section:not([hidden])")

    def see(self, text: str) -> None:
        """Wait until the page in front says `text`."""
        self.view.get_by_text(text).first.wait_for()

    def tap(self, name: str) -> None:
        """Press the button or follow the link with exactly this name."""
        self.view.get_by_role("button", name=name, exact=True).or_(
            self.view.get_by_role("link", name=name, exact=True)
        ).first.click()

    def fill(self, label: str, text: str) -> None:
        """Type into the field with this label."""
        self.view.get_by_label(label).fill(text)

    def stored(self, key: str) -> list[dict[str, Any]]:
        """What lies on the phone under a key that holds a list."""
        return list(json.loads(self.page.evaluate(f"localStorage.getItem('linli.1.{key}')") or "[]"))

    def violations(self) -> list[object]:
        """What axe finds on the page as it is."""
        self.page.evaluate(AXE.read_text())
        return list(
            self.page.evaluate(
                "axe.run().then((all) => all.violations.map((one) => [one.id, one.nodes.map((n) => n.html)]))"
            )
        )

    def join(self) -> None:
        """Verify identity with two organisations, as a person would."""
        self.go("pages/join/index")
        self.tap("我已阅读并同意")
        self.fill("姓名", "王秀英")
        self.fill("房号", "3 号楼 502 室")
        self.fill("手机号", "13800138000")
        self.tap("获取验证码")
        for organisation in ("1. 兴业街道", "2. 业主委员会"):
            self.see(organisation)
            self.fill("6 位数字验证码", CODE)
            self.tap("核对")
        self.see("核实完成")


Open = Callable[..., App]


@pytest.fixture
def open_app(browser: Browser, base: str) -> Iterator[Open]:
    """Opens the app on a new phone: `open_app(width=390, height=844, **settings of the browser)`."""
    contexts: list[BrowserContext] = []

    def open_one(
        width: int = 390, height: int = 844, locale: str = "zh-CN", context: BrowserContext | None = None
    ) -> App:
        if context is None:
            viewport = {"width": width, "height": height}
            context = browser.new_context(viewport=viewport, locale=locale, reduced_motion="reduce")  # type: ignore[arg-type]
            contexts.append(context)
        return App(context.new_page(), base)

    yield open_one
    for context in contexts:
        context.close()
