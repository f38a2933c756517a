"""Every page in every mode: axe finds nothing, nothing breaks, everything can be reached and named."""

from __future__ import annotations

import json

import pytest

from tests.browser.estate import ROOT
from tests.browser.standin.conftest import App, Open

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SOURCE = ROOT / "miniapp" / "src"
CONFIG = json.loads((SOURCE / "app.json").read_text())
PAGES = [*CONFIG["pages"], *(f"{part['root']}/{page}" for part in CONFIG["subPackages"] for page in part["pages"])]
QUERY = {
    "pages/vote/verify": f"?motion={'M' * 43}",
    "pages/vote/read": f"?motion={'M' * 43}",
    "pages/vote/choose": f"?motion={'M' * 43}&n=0",
    "pages/vote/sign": f"?motion={'M' * 43}",
    "pages/result/index": f"?motion={'N' * 43}",
    "pages/ticket/index": f"?id={'T' * 43}",
    "staff/ticket/index": f"?id={'T' * 43}",
}
MODES = {
    "phone": ((390, 844), {"language": "zh-CN", "elder": False, "fontPx": 17}),
    "english": ((390, 844), {"language": "en", "elder": False, "fontPx": 17}),
    "elder": ((390, 844), {"language": "zh-CN", "elder": True, "fontPx": 22}),
    "elder-smallest": ((320, 640), {"language": "zh-CN", "elder": True, "fontPx": 30}),
    "english-smallest": ((320, 640), {"language": "en", "elder": True, "fontPx": 30}),
    "tablet": ((1024, 768), {"language": "zh-CN", "elder": True, "fontPx": 22}),
    "tablet-upright": ((768, 1024), {"language": "zh-CN", "elder": False, "fontPx": 17}),
    "office": ((1440, 900), {"language": "zh-CN", "elder": False, "fontPx": 17}),
}
TARGETS = """() => [...document.querySelectorAll('button, a, input, textarea')]
  .filter((one) => one.offsetParent && !one.closest('[hidden]'))
  .map((one) => [(one.closest('label') ?? one).getBoundingClientRect(), one.outerHTML.slice(0, 120)])
  .filter(([box]) => box.width < %(least)d || box.height < %(least)d)
  .map(([box, html]) => [box.width, box.height, html])"""


def _choose_all(app: App) -> None:
    """The page before the signature is only shown when every question has a choice."""
    app.page.evaluate(
        "localStorage.setItem('linli.1.ballot.' + 'M'.repeat(43), JSON.stringify({choices: {q1: 'for', q2: 'c1'}}))"
    )


@pytest.mark.parametrize("mode", MODES)
def test_no_page_has_a_fault_in_this_mode(open_app: Open, mode: str) -> None:
    (width, height), settings = MODES[mode]
    app = open_app(width=width, height=height)
    app.join()
    _choose_all(app)
    app.page.evaluate("(value) => localStorage.setItem('linli.1.settings', JSON.stringify(value))", settings)
    app.page.reload()
    faults: list[object] = []
    for page in PAGES:
        app.go(page + QUERY.get(page, ""))
        app.page.wait_for_function("() => !document.querySelector('.shell-main > section:not([hidden]) .skeleton')")
        app.page.wait_for_timeout(250)
        faults.extend((page, fault) for fault in app.violations())
        if app.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            faults.append((page, "wider than the screen"))
        least = 60 if settings["elder"] else 44
        faults.extend((page, small) for small in app.page.evaluate(TARGETS % {"least": least}))
    assert faults == []
    assert app.errors == []


def test_every_page_has_its_title_language_and_focus_on_the_heading(open_app: Open) -> None:
    app = open_app()
    app.join()
    titles = set()
    for page in PAGES:
        if page == "pages/vote/sign":
            _choose_all(app)
        app.go(page + QUERY.get(page, ""))
        app.page.wait_for_timeout(200)
        titles.add(app.page.title())
        assert app.page.locator("h1").inner_text() == app.page.title()
        assert app.page.evaluate("document.activeElement.tagName") == "H1", page
        assert app.page.evaluate("document.documentElement.lang") == "zh-CN"
    assert len(titles) >= len(PAGES) - 3


def test_the_vote_page_is_reached_and_left_by_keyboard_alone(open_app: Open) -> None:
    app = open_app()
    app.join()
    app.go(f"pages/vote/choose?motion={'M' * 43}&n=0")
    app.see("第 1 个问题")
    app.page.locator("h1").focus()
    stops = []
    for _ in range(6):
        app.page.keyboard.press("Tab")
        stops.append(
            app.page.evaluate(
                "document.activeElement.outerHTML.slice(0, 20) + document.activeElement.textContent.trim()"
            )
        )
    assert any("朗读本页" in stop for stop in stops)
    assert any("<input" in stop for stop in stops)
    assert any("下一步" in stop for stop in stops)
    app.view.get_by_role("radio").first.focus()
    app.page.keyboard.press("Space")
    app.page.keyboard.press("ArrowDown")
    assert app.view.get_by_role("radio", name="反对").is_checked()
    app.view.get_by_role("button", name="下一步").focus()
    app.page.keyboard.press("Enter")
    app.see("第 2 个问题")


def test_elder_mode_is_entered_on_the_first_page_and_stays(open_app: Open) -> None:
    app = open_app()
    app.go()
    app.tap("长辈版")
    app.see("标准版")
    size = app.view.locator(".tile-title").first.evaluate("(one) => parseFloat(getComputedStyle(one).fontSize)")
    assert size >= 18
    app.page.reload()
    app.see("标准版")


def test_elder_mode_is_on_by_itself_when_the_browser_text_is_large(open_app: Open) -> None:
    app = open_app()
    # The reader's own setting, which is there before the first script runs.
    enlarge = "new MutationObserver(() => { document.documentElement.style.fontSize = '24px' })"
    app.page.add_init_script(f"{enlarge}.observe(document, {{ childList: true }})")
    app.go()
    app.see("标准版")
