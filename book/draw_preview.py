"""Draw `_static/preview.png`, the picture that a link to the site shows, from `lstm-step.svg`."""

import os
from pathlib import Path

from playwright.sync_api import sync_playwright

BOOK = Path(__file__).parent
PAGE = """<!doctype html><meta charset="utf-8"><style>
  body {{ margin: 0; width: 1200px; height: 630px; display: flex; align-items: center;
         background: #fff; color: #14181e; font-family: "Liberation Sans", Arial, sans-serif; }}
  div {{ flex: 1; padding-left: 70px; }} h1 {{ font-size: 68px; line-height: 1.1; margin: 0 0 28px; }}
  p {{ font-size: 30px; line-height: 1.35; margin: 0; }} svg {{ width: 640px; padding-right: 30px; }}
  body::before {{ content: ""; position: absolute; inset: 0 auto 0 0; width: 18px; background: #0b5d80; }}
</style><div><h1>LSTM from scratch</h1><p>Every piece derived, checked and built, in NumPy</p></div>{}"""


def draw(target: Path) -> None:
    """Write the picture, 1200 x 630 pixels, to a file."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1200, "height": 630})
        page.set_content(PAGE.format((BOOK / "lstm-step.svg").read_text()))
        page.screenshot(path=target)
        browser.close()


if __name__ == "__main__":
    draw(BOOK / "_static" / "preview.png")
