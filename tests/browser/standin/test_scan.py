"""Scanning: by camera, by picture, by typing; and leaving again."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Playwright

from tests.browser.conftest import launch
from tests.browser.standin.conftest import App, Open

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def _shown_code(app: App) -> bytes:
    """A merchant's QR code, as the picture that the page shows."""
    app.go("merchant/charge/index")
    app.tap("数字 7")
    app.tap("生成收款码")
    source = app.view.locator("img.qr").get_attribute("src")
    assert source is not None
    return base64.b64decode(source.partition(",")[2])


def test_a_code_is_read_from_a_picture(open_app: Open, tmp_path: Path) -> None:
    app = open_app()
    app.join()
    picture = tmp_path / "code.png"
    Image.open(io.BytesIO(_shown_code(app))).convert("RGB").save(picture)
    app.go("pages/points/index")
    app.tap("扫码付积分")
    with app.page.expect_file_chooser() as chooser:
        app.page.get_by_role("dialog").get_by_role("button", name="从相册选").click()
    chooser.value.set_files(picture)
    app.see("付后余额 313")


def test_a_picture_without_a_code_says_so_and_typing_still_works(open_app: Open, tmp_path: Path) -> None:
    app = open_app()
    app.join()
    _shown_code(app)
    alias = app.view.locator(".code").inner_text()
    picture = tmp_path / "wall.png"
    Image.new("RGB", (300, 300), (200, 200, 200)).save(picture)
    app.go("pages/points/index")
    app.tap("扫码付积分")
    dialog = app.page.get_by_role("dialog")
    with app.page.expect_file_chooser() as chooser:
        dialog.get_by_role("button", name="从相册选").click()
    chooser.value.set_files(picture)
    dialog.get_by_text("照片里没有认出二维码").wait_for()
    dialog.get_by_label("输入代码").fill(alias)
    dialog.get_by_role("button", name="确定").click()
    app.see("付后余额 313")


def test_scanning_is_cancelled_by_escape_and_nothing_happens(open_app: Open) -> None:
    app = open_app()
    app.join()
    app.go("pages/points/index")
    app.tap("扫码付积分")
    app.page.get_by_role("dialog").wait_for()
    app.page.keyboard.press("Escape")
    app.see("可用积分")
    assert app.page.get_by_role("dialog").count() == 0


def test_a_code_is_read_by_the_camera(open_app: Open, driver: Playwright, chromium: Path, tmp_path: Path) -> None:
    app = open_app()
    app.join()
    film = tmp_path / "camera.mjpeg"
    _film(Image.open(io.BytesIO(_shown_code(app))).convert("RGB"), film)
    state = app.page.context.storage_state()
    app.page.context.close()
    camera = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    own = launch(driver, chromium, *camera, f"--use-file-for-fake-video-capture={film}")
    try:
        context = own.new_context(storage_state=state, permissions=["camera"], locale="zh-CN")
        with_camera = App(context.new_page(), app.base)
        with_camera.go("pages/points/index")
        with_camera.tap("扫码付积分")
        with_camera.see("付后余额 313")
    finally:
        own.close()


def _film(code: Image.Image, path: Path) -> None:
    """Thirty frames of the code, held by a hand that is not quite steady."""
    frames = []
    for number in range(30):
        turned = code.resize((340, 340)).rotate(number % 7 - 3, expand=True, fillcolor=(255, 255, 255))
        frame = Image.new("RGB", (640, 480), (150, 150, 150))
        frame.paste(turned, (130 + number % 5 * 4, 50))
        buffer = io.BytesIO()
        frame.save(buffer, "JPEG", quality=88)
        frames.append(buffer.getvalue())
    path.write_bytes(b"".join(frames))
