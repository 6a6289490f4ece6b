"""Print the whole book into one file: ``make pdf`` writes ``_build/lstm-from-scratch.pdf``.

Sphinx makes one page of all chapters, and Chromium prints it. What can be moved on the site is
printed as it stands at first; folded solutions are open. Links between pages lead to the place
in the file; those that only the site can follow are plain text.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from build import STRICT, command
from weave import ROOT

NAME = "lstm-from-scratch.pdf"
READY = """async () => {
  await MathJax.startup.promise;
  document.querySelectorAll('details').forEach(fold => { fold.open = true; });
  for (const link of document.querySelectorAll('a[href]')) {
    const name = link.getAttribute('href').split('#')[1];
    if (link.protocol.startsWith('http')) continue;
    if (name && document.getElementById(name)) link.setAttribute('href', '#' + name);
    else link.removeAttribute('href');
  }
  document.querySelectorAll('img').forEach(picture => { picture.loading = 'eager'; });
  await Promise.all([...document.images].map(picture => picture.decode()));
}"""
FOOT = """<div style="width: 100%; font-size: 8px; text-align: center">
<span class="pageNumber"></span></div>"""


def build(root: Path) -> Path:
    """Build the book as one page; return its file."""
    output = root / "_build" / "single"
    shutil.rmtree(output, ignore_errors=True)
    program = command(output, "--builder", "singlehtml", *STRICT)
    subprocess.run(program, cwd=root, check=True, stdout=subprocess.DEVNULL)
    site = output / "_build" / "singlehtml"
    # It stands in a folder of its own, and its addresses are those of a page at the root.
    return Path(shutil.copy(site / "book" / "index.html", site / "book.html"))


def print_page(page: Path, target: Path) -> None:
    """Print a page, in the light theme, when its formulas and pictures are there."""
    with sync_playwright() as playwright:
        browser: Any = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        tab = browser.new_page(color_scheme="light")
        tab.set_default_timeout(600_000)
        tab.goto(page.as_uri(), wait_until="load")
        tab.evaluate(READY)
        tab.pdf(
            path=target, format="A4", print_background=True, outline=True, tagged=True,
            display_header_footer=True, header_template="<span></span>", footer_template=FOOT,
            margin={"top": "18mm", "bottom": "18mm", "left": "16mm", "right": "16mm"},
        )  # fmt: skip
        browser.close()


def main(root: Path = ROOT) -> None:
    """Build and print the book."""
    start, target = time.perf_counter(), root / "_build" / NAME
    print_page(build(root), target)
    size, seconds = target.stat().st_size / 1e6, time.perf_counter() - start
    print(f"{target}: {size:.1f} MB, {seconds:.0f} s")


if __name__ == "__main__":
    main()
