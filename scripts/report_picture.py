"""The picture of the page that the README opens with: its top, and a training halfway.

    python scripts/report_picture.py [results/report.html] [results/figures/report.png]

Needs playwright and Chromium (``pip install -e ".[browser]"``).
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

SIZE = {"width": 1100, "height": 1000}
SCALE = 1.25
STEP = 150  # of the training that is shown
GAP = 24


def main(page: Path, picture: Path) -> None:
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        path = None if own.is_file() else shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        opened = browser.new_page(viewport=SIZE, device_scale_factor=SCALE, color_scheme="light")
        opened.goto(page.resolve().as_uri())
        views = [_shot(opened)]
        opened.evaluate("document.querySelector('#explorer').scrollIntoView({behavior: 'instant'})")
        opened.locator("#step").fill(str(STEP))
        opened.locator("#batchnorm-switch").click()
        opened.wait_for_timeout(1000)
        views.append(_shot(opened))
        browser.close()
    width, height = views[0].size
    whole = Image.new("RGB", (2 * width + GAP, height), "#e2ded6")
    for place, view in enumerate(views):
        whole.paste(view, (place * (width + GAP), 0))
    whole.save(picture, optimize=True)
    print(f"{picture}, {picture.stat().st_size / 1000:.0f} kB")


def _shot(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    defaults = [Path("results/report.html"), Path("results/figures/report.png")]
    main(*(given + defaults[len(given) :]))
