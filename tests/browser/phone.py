"""A person's phone or tablet: a browser with the mini-app and its storage, driven by what stands on the screen.

It watches what no screen shows: every host that is asked, errors of scripts, and breaches of the content policy. What
it saw is judged at the end of each test (conftest.py).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, Response, expect

from tests.browser.estate import ROOT, Login, wait_for

PREFIX = "linli.1."
SEED_BYTES = 48
PRIVACY_VERSION = 1
ELDER_FONT_PX = 22
PLAIN_FONT_PX = 17
ANSWER_MS = 20_000
"""For what a cluster must order first, on a machine that is busy with other tests."""
_BREACHES = """
addEventListener('securitypolicyviolation', (event) => {
  console.error('content policy breached: ' + event.violatedDirective + ' ' + event.blockedURI)
})
"""


@dataclass(frozen=True, slots=True)
class Screen:
    """Size and display mode of a device; `font_px` is what its owner chose, 0 the mode's own."""

    name: str
    width: int
    height: int
    elder: bool = False
    font_px: int = 0


PHONE = Screen("phone", 390, 844)
PHONE_ELDER = Screen("phone-elder", 390, 844, elder=True)
TABLET = Screen("tablet", 1024, 768)
TABLET_ELDER = Screen("tablet-elder", 1024, 768, elder=True)
NARROW = Screen("narrow", 320, 640)
NARROW_LARGEST = Screen("narrow-largest", 320, 640, elder=True, font_px=30)


def seed_of(key_pem: str) -> str:
    """The seed from which the app makes this very key: it reduces 48 bytes to 1 + n mod (order - 1)."""
    key = serialization.load_pem_private_key(key_pem.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return (key.private_numbers().private_value - 1).to_bytes(SEED_BYTES, "big").hex()


def stored(screen: Screen, login: Login | None, language: str) -> dict[str, Any]:
    """What the app has in its storage on a device that was used before; without a login only how it shows itself."""
    font_px = screen.font_px or (ELDER_FONT_PX if screen.elder else PLAIN_FONT_PX)
    values: dict[str, Any] = {"settings": {"language": language, "elder": screen.elder, "fontPx": font_px}}
    if login is not None:
        values["seed"] = seed_of(login.key_pem)
        values["member"] = {"member": login.member, "name": login.name}
        values["privacy"] = {"version": PRIVACY_VERSION, "agreedMs": 1}
    return values


@dataclass
class Watch:
    """Mutable. What devices did that users do not see. Without slots: Playwright leaves its marks on listeners."""

    origins: frozenset[str]
    foreign: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    policies: set[str] = field(default_factory=set)
    flaws: list[str] = field(default_factory=list)
    seen: set[tuple[str, str]] = field(default_factory=set)

    def see_request(self, request: Request) -> None:
        """Keep every address outside of the estate's nodes."""
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and f"{parts.scheme}://{parts.netloc}" not in self.origins:
            self.foreign.append(request.url)

    def see_response(self, response: Response) -> None:
        """Keep the policy of each document, and files of the app that were not there."""
        if response.request.resource_type == "document":
            self.policies.add(response.headers.get("content-security-policy", ""))
        if response.status >= 400 and "/api/" not in response.url:
            self.missing.append(f"{response.status} {response.url}")

    def see_console(self, message: ConsoleMessage) -> None:
        """Keep errors, save that a browser reports each refusal (409) and each dead node as one."""
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.faults.append(message.text)

    def see_error(self, error: Exception) -> None:
        """Keep what no script caught."""
        self.faults.append(f"{type(error).__name__}: {error}")


class Phone:
    """Mutable. A browser context with the app in it; a second device of the same person is another one."""

    def __init__(
        self,
        browser: Browser,
        url: str,
        watch: Watch,
        screen: Screen = PHONE,
        login: Login | None = None,
        language: str = "zh-CN",
        memory: Mapping[str, Any] | None = None,
    ) -> None:
        self.url = url
        self.screen = screen
        self.watch = watch
        known = {**(memory or {}), **stored(screen, login, language)}
        values = [{"name": PREFIX + name, "value": json.dumps(value)} for name, value in known.items()]
        self.context: BrowserContext = browser.new_context(
            viewport={"width": screen.width, "height": screen.height},
            locale=language,
            storage_state={"cookies": [], "origins": [{"origin": url, "localStorage": values}]},
            permissions=["camera"],
            service_workers="block",
        )
        self.context.set_default_timeout(ANSWER_MS)
        self.context.add_init_script(_BREACHES)
        self.context.on("request", watch.see_request)
        self.context.on("response", watch.see_response)
        self.context.on("console", watch.see_console)
        self.context.on("weberror", lambda error: watch.see_error(error.error))
        self.page: Page = self.context.new_page()

    # ---- going somewhere

    def open(self, path: str = "pages/home/index") -> None:
        """Open the app at a page, as from the home screen."""
        self.page.goto(f"{self.url}/#/{path}")
        expect(self.section).to_be_visible()
        self.await_ready()

    def kill(self) -> None:
        """The system ends the app; its storage stays."""
        self.page.close()

    def reopen(self, path: str = "pages/home/index") -> None:
        """Start the app again after it was killed."""
        self.page = self.context.new_page()
        self.open(path)

    def close(self) -> None:
        """Put the device away."""
        self.context.close()

    def tab(self, name: str) -> None:
        """Tap a tab of the bar at the bottom."""
        self.page.get_by_role("navigation").get_by_role("link", name=name).click()
        self.await_ready()

    def await_ready(self) -> None:
        """Until the skeleton of a loading page is gone."""
        expect(self.section.locator(".skeleton")).to_have_count(0, timeout=ANSWER_MS)

    # ---- the screen

    @property
    def section(self) -> Locator:
        """The page in front."""
        return self.page.locator("main > section:not([hidden])")

    @property
    def heading(self) -> Locator:
        """The title of the page in front."""
        return self.page.locator("h1")

    def button(self, name: str | re.Pattern[str], exact: bool = False) -> Locator:
        """A button of the page in front, by its words."""
        return self.section.get_by_role("button", name=name, exact=exact)

    def link(self, name: str | re.Pattern[str]) -> Locator:
        """A link of the page in front, by its words."""
        return self.section.get_by_role("link", name=name)

    def tap(self, name: str) -> None:
        """Tap a button or a link of the page in front."""
        self.button(name).or_(self.link(name)).first.click()

    def fill(self, label: str, text: str) -> None:
        """Type into the field with this label."""
        self.section.get_by_label(label).fill(text)

    def choose(self, name: str) -> None:
        """Choose one of several answers by tapping its words, as a thumb does."""
        self.section.locator("label", has_text=name).click()

    def answer_dialog(self, button: str) -> None:
        """Tap a button of the question that covers the page."""
        self.page.get_by_role("dialog").get_by_role("button", name=button, exact=True).click()

    def await_pictures(self) -> None:
        """Until every picture of the page in front is drawn."""
        drawn = "(all) => all.every((one) => one.complete && one.naturalWidth > 0)"
        wait_for(lambda: self.section.locator("img:visible").evaluate_all(drawn), "the pictures of a page")

    def expect_title(self, title: str) -> None:
        """The page in front is this one, and it has loaded."""
        expect(self.heading).to_have_text(title, timeout=ANSWER_MS)
        self.await_ready()

    def expect_text(self, text: str | re.Pattern[str]) -> None:
        """The page in front says this."""
        expect(self.section.get_by_text(text).first).to_be_visible(timeout=ANSWER_MS)

    # ---- what the app keeps

    def read(self, name: str) -> Any:
        """A value of the app's storage."""
        text = self.page.evaluate("(key) => localStorage.getItem(key)", PREFIX + name)
        return None if text is None else json.loads(text)

    def outbox(self) -> list[dict[str, Any]]:
        """Signed records that wait for their receipts."""
        return list(self.read("outbox") or [])

    def memory(self) -> dict[str, Any]:
        """Everything that the app has in its storage, for a device that goes on from here."""
        names = self.page.evaluate("Object.keys(localStorage)")
        return {name.removeprefix(PREFIX): self.read(name.removeprefix(PREFIX)) for name in names}

    # ---- looking

    def look(self, name: str) -> None:
        """Judge what stands on the screen, once for each size and name; with a picture if one is wanted."""
        if (name, self.screen.name) in self.watch.seen:
            return
        self.watch.seen.add((name, self.screen.name))
        self.take_picture(name)
        self.watch.flaws += [f"{name}.{self.screen.name}: {flaw}" for flaw in flaws_of(self.page, self.screen)]

    def take_picture(self, name: str) -> None:
        """A picture of the screen, if LINLI_SCREENSHOTS names a folder."""
        folder = os.environ.get("LINLI_SCREENSHOTS")
        if folder:
            path = Path(folder) / f"{name}.{self.screen.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=path)


AXE = ROOT / "miniapp" / "node_modules" / "axe-core" / "axe.min.js"
TARGET_PX = 44
TARGET_ELDER_PX = 60
TEXT_ELDER_PX = 18
_AXE = """
async () => (await axe.run({ resultTypes: ['violations'] })).violations
  .map((one) => `axe ${one.id}: ${one.nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`)
"""
_LAYOUT = """
([least, leastText]) => {
  const flaws = []
  const isShown = (one) => one.checkVisibility({ visibilityProperty: true })
  const shown = [...document.querySelectorAll('body *')].filter(isShown)
  const say = (what, one) => flaws.push(`${what}: ${one.outerHTML.slice(0, 140)}`)
  if (document.documentElement.scrollWidth > innerWidth) flaws.push('the page is wider than the screen')
  for (const one of shown) {
    const box = one.getBoundingClientRect()
    if (box.width > 0 && (box.right > innerWidth + 1 || box.left < -1)) say('reaches over the edge', one)
    if (one.tagName === 'IMG' && one.complete && !one.naturalWidth && one.src) say('a picture is broken', one)
    const hasText = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== '')
    const size = parseFloat(getComputedStyle(one).fontSize)
    if (hasText && size < leastText) say('text is too small', one)
    const isColumn = one.textContent.trim().length > 4 && box.width < 3 * size && box.height > 4 * size
    if (hasText && isColumn) say('text is squeezed', one)
    if (!one.matches('button, a[href], input, textarea')) continue
    const target = (one.closest('label') ?? one).getBoundingClientRect()
    if (target.width < least || target.height < least) say('a target is too small', one)
  }
  return flaws
}
"""


def flaws_of(page: Page, screen: Screen) -> list[str]:
    """What is wrong with a screen: by axe, too wide, too small, or a broken picture."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text("utf-8"))
    limits = [TARGET_ELDER_PX, TEXT_ELDER_PX] if screen.elder else [TARGET_PX, 0]
    return [*page.evaluate(_AXE), *page.evaluate(_LAYOUT, limits)]
