"""One demo estate for all browser tests, one Chromium a module, and a judgement of every device at the end of a test.

Playwright's synchronous driver holds the thread's event loop while it runs, so it ends with its module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from tests.browser.estate import Estate, Login, running_estate
from tests.browser.phone import PHONE, Phone, Screen, Watch


@pytest.fixture(scope="session")
def estate(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """The demo estate on three node processes."""
    with running_estate(tmp_path_factory.mktemp("demo") / "data") as running:
        yield running


def launch(driver: Playwright, chromium: Path, *arguments: str) -> Browser:
    """The system's Chromium without a window; under root it has no sandbox."""
    return driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", *arguments])


@pytest.fixture(scope="module")
def driver() -> Iterator[Playwright]:
    """What drives browsers."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(driver: Playwright, chromium: Path) -> Iterator[Browser]:
    """A browser for all devices of a module."""
    browser = launch(driver, chromium)
    yield browser
    browser.close()


class NewPhone(Protocol):
    """Makes a device; without a login it is one that nobody has used."""

    def __call__(
        self,
        login: Login | None = ...,
        screen: Screen = ...,
        *,
        node: int = ...,
        language: str = ...,
        browser: Browser = ...,
        memory: Mapping[str, Any] | None = ...,
    ) -> Phone: ...


@pytest.fixture(scope="session")
def looked_at() -> set[tuple[str, str]]:
    """Screens that were judged already, by name and size: each is judged once."""
    return set()


@pytest.fixture
def watch(estate: Estate, looked_at: set[tuple[str, str]]) -> Iterator[Watch]:
    """What all devices of a test did unseen: no foreign host, no fault, nothing missing, always the policy."""
    watch = Watch(frozenset(estate.urls), seen=looked_at)
    yield watch
    assert watch.flaws == [], "a screen has flaws"
    assert watch.foreign == [], "hosts outside of the estate were asked"
    assert watch.faults == [], "scripts failed, or the content policy was breached"
    assert watch.missing == [], "files of the app are missing"
    assert all("default-src 'self'" in policy and "script-src 'self';" in policy for policy in watch.policies)


@pytest.fixture
def new_phone(estate: Estate, browser: Browser, watch: Watch) -> Iterator[NewPhone]:
    """A function that makes devices; they are put away after the test."""
    phones: list[Phone] = []
    own = browser

    def make(
        login: Login | None = None,
        screen: Screen = PHONE,
        *,
        node: int = 0,
        language: str = "zh-CN",
        browser: Browser = own,
        memory: Mapping[str, Any] | None = None,
    ) -> Phone:
        phones.append(Phone(browser, estate.urls[node], watch, screen, login, language, memory))
        return phones[-1]

    yield make
    for phone in phones:
        phone.close()
