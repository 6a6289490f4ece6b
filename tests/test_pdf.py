"""The whole book in one file. With WAYS=all (`make nightly`) it is built and printed."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import pdf
from weave import ROOT, notebooks

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import course

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
PAGE = f"""<!doctype html><title>t</title><img src="{PIXEL}" alt="one pixel">
<script>window.MathJax = {{startup: {{promise: Promise.resolve()}}}};</script>
<a href="book/index.html#here">inside</a> <a href="gone.html">gone</a> <a href="gone.html#x">too</a>
<a href="https://example.invalid/">outside</a>
<details><summary>folded</summary><div style="height: 3500px">tall</div></details>
<p id="here">here</p>"""


def pages(printed: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b", printed))


def printed(tmp_path: Path, text: str) -> bytes:
    (tmp_path / "page.html").write_text(text)
    pdf.print_page(tmp_path / "page.html", tmp_path / "page.pdf")
    return (tmp_path / "page.pdf").read_bytes()


def test_a_page_is_printed_open_and_with_links_that_hold(tmp_path: Path) -> None:
    found = printed(tmp_path, PAGE)
    assert found.startswith(b"%PDF") and pages(found) >= 4
    assert b"https://example.invalid/" in found and b"file:" not in found
    assert len(re.findall(rb"/Subtype /Link", found)) == 2
    plain = PAGE.replace("<details>", "<div>").replace("</details>", "</div>")
    assert pages(printed(tmp_path, plain)) == pages(found)


def test_the_single_page_is_written_by_the_handlers_of_html() -> None:
    def handlers(builder: str) -> dict[str, dict[str, str]]:
        known = {"html": {"card": "html", "proof": "html"}, "singlehtml": {"proof": "single"}}
        app: Any = SimpleNamespace(
            registry=SimpleNamespace(translation_handlers=known),
            builder=SimpleNamespace(name=builder),
        )
        course.complete_single_page(app)
        return known

    assert handlers("singlehtml")["singlehtml"] == {"card": "html", "proof": "single"}
    assert handlers("html")["singlehtml"] == {"proof": "single"}


@pytest.mark.skipif(os.environ.get("WAYS") != "all", reason="minutes: `make nightly` runs it")
def test_the_book_is_printed(tmp_path: Path) -> None:
    for name in ("_config.yml", "_toc.yml", "README.md", "CONTRIBUTING.md", "CITATION.cff"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for folder in ("book", "lstm", "experiments", "tests", "benchmarks"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    pdf.main(tmp_path)
    found = (tmp_path / "_build" / pdf.NAME).read_bytes()
    assert found.startswith(b"%PDF") and pages(found) > 5 * len(notebooks(ROOT))
    assert b"file:" not in found
