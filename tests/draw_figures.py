"""Draw the figures to play with as they are before anything is moved.

A file of `book/figures` holds markup, and the drawing and the numbers for the first values of
its inputs, which is what a reader without a script sees. After a change of the markup or of
`book/_static/figures.js`, this writes them:

    .venv/bin/python tests/draw_figures.py
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "book" / "_static" / "figures.js"
FILES = sorted((ROOT / "book" / "figures").glob("*.html"))
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


def drawn(browser: Any, markup: str, script: str) -> str:
    """Return a figure's markup as the script leaves it."""
    page = browser.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.set_content(f"<!doctype html>{markup}<script>{script}</script>")
    text: str = page.evaluate("document.querySelector('figure').outerHTML")
    page.close()
    if failures:
        raise ValueError(f"the figure's script failed: {failures[0]}")
    return f"{text}\n"


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for file in FILES:
            file.write_text(drawn(browser, file.read_text(), SCRIPT.read_text()))
            print(f"drawn: {file.relative_to(ROOT)}")
        browser.close()


if __name__ == "__main__":
    main()
