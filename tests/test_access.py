"""The built site, for readers who do not see it, use no mouse, or hold a small phone.

axe-core looks at every page: in `make nightly` with every rule, light and dark; in `make test`
without its rule of contrast, which takes most of the time and which test_site.py measures in both
modes; that rule too on the short pages, whose surroundings are those of all.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from PIL import Image

from test_site import CHINESE, base, browser, site, toc_pages  # fixtures among them

sys.path.insert(0, str(Path(__file__).parents[1] / "book" / "_ext"))
import finish

__all__ = ["base", "browser", "site"]
ALL = os.environ.get("ACCESS") == "all"
SHORT = ["search.html", "404.html", toc_pages()[0], f"zh/{toc_pages()[0]}"]
PAGES = [*SHORT, "genindex.html", *toc_pages()[1:], *CHINESE[1:]]
DESK = {"width": 1280, "height": 900}
LIMIT = 500_000  # bytes of a page as a server sends it, without MathJax
KINDS = (".css", ".js", ".png", ".svg")

# In `make test`, without MathJax, and the spans that color code, which mean nothing, plain text.
BARE = "document.querySelectorAll('div.highlight pre').forEach(e => { e.textContent += ''; })"
STILL = "*, *::before, *::after { transition: none !important }"
AXE = """async ([mode, contrast]) => {
  document.documentElement.dataset.theme = mode;
  const result = await axe.run(document, {
    resultTypes: ['violations'], preload: false,
    rules: {
      'label-content-name-mismatch': {enabled: true},  // new, so off unless asked for
      'color-contrast': {enabled: contrast},           // off: see the first lines of this file
    },
  });
  // axe reads no MathML, screen readers do: a header cell that holds a formula is not empty
  const formula = (v, n) => v.id === 'empty-table-header'
    && document.querySelector(n.target[0]).querySelector('mjx-assistive-mml math');
  return result.violations.flatMap(v => v.nodes.filter(n => !formula(v, n)).map(n =>
    `${mode}: ${v.id}: ${v.help}: ${n.target} ${n.html.slice(0, 120)}`));
}"""


UNSEEN = """() => {
  const e = document.activeElement, s = getComputedStyle(e);
  const seen = s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2;
  return seen || e === document.body ? [] : [e.outerHTML.slice(0, 120)];
}"""
MOVING = """() => [...document.querySelectorAll('body *')].filter(e => {
  const s = getComputedStyle(e);
  return s.animationName !== 'none' || /[1-9]/.test(s.transitionDuration);
}).length"""


def axe_script() -> str:
    """Return axe-core's text, which a package for Python carries."""
    spec = find_spec("axe_playwright_python")
    if spec is None or spec.origin is None:
        pytest.fail("axe-core is not installed: pip install axe-playwright-python")
    return (Path(spec.origin).parent / "axe.min.js").read_text()


def violations(browser: Any, url: str, *, contrast: bool = True, bare: bool = False) -> list[str]:
    """Return what axe finds on a page, a sentence for each place; with contrast, also in the dark."""
    page = browser.new_page()
    page.set_viewport_size(DESK)
    if bare:
        page.route("**/mathjax/**", lambda route: route.fulfill(body=""))
    page.goto(url)
    page.evaluate("async () => { if (window.MathJax?.startup) await MathJax.startup.promise; }")
    page.add_style_tag(content=STILL)
    page.evaluate(axe_script())
    if bare:
        page.evaluate(BARE)
    modes = ["light", "dark"] if contrast else ["light"]
    found = [fault for mode in modes for fault in page.evaluate(AXE, [mode, contrast])]
    page.close()
    return found


def sizes(site: Path, address: str) -> dict[str, int]:
    """Return the bytes of a page by kind of file: text as a server packs it, no MathJax."""
    text = (site / address).read_text()
    found = {".html": len(gzip.compress(text.encode()))}
    for link in sorted(set(re.findall(r'<(?:script|link|img)[^>]*?(?:src|href)="([^"]+)"', text))):
        parts = urlsplit(link)
        file = (site / address).parent / unquote(parts.path)
        if parts.netloc or "mathjax" in link or file.suffix not in KINDS:
            continue
        body = file.read_bytes()
        size = len(body) if file.suffix == ".png" else len(gzip.compress(body))
        found[file.suffix] = found.get(file.suffix, 0) + size
    return found


@pytest.mark.parametrize("address", PAGES)
def test_axe_finds_nothing(browser: Any, base: str, address: str) -> None:
    assert violations(browser, base + address, contrast=ALL or address in SHORT, bare=not ALL) == []


def test_every_page_is_light(site: Path) -> None:
    heavy = {a: found for a in [*toc_pages(), *CHINESE] if sum((found := sizes(site, a)).values()) > LIMIT}
    assert heavy == {}


def test_the_keyboard_is_seen(browser: Any, base: str) -> None:
    page = browser.new_page()
    page.goto(base + "book/gates/cell.html")
    page.add_style_tag(content=STILL)
    unseen, stops = [], 60
    for _ in range(stops):
        page.keyboard.press("Tab")
        unseen += page.evaluate(UNSEEN)
    page.close()
    assert unseen == []


def test_less_motion_is_none(browser: Any, base: str) -> None:
    page = browser.new_page()
    page.goto(base + "book/gates/cell.html")
    assert page.evaluate(MOVING) > 0  # the theme's own
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(MOVING) == 0
    page.close()


# --- the checks themselves ---------------------------------------------------------------

SOUND = """<!doctype html><html lang="en"><head><title>t</title></head>
<body style="background: white; color: black"><main><h1>A</h1>HERE</main></body></html>"""
FAULTS = {
    "image-alt": "<img src='data:,'>",
    "light: color-contrast": "<p style='color: #bbb'>pale</p>",
    "dark: color-contrast": "<style>[data-theme=dark] b { color: #ccc; }</style><b>pale</b>",
    "empty-table-header": "<table><tr><th></th><td>1</td></tr></table>",
    "label-content-name-mismatch": "<button aria-label='Go'>Search</button>",
    "button-name": "<button></button>",
}


@pytest.fixture(scope="module")
def found(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    page = tmp_path_factory.mktemp("faulty") / "page.html"
    page.write_text(SOUND.replace("HERE", "".join(FAULTS.values())))
    return violations(browser, page.as_uri(), bare=True)


@pytest.mark.parametrize("expected", FAULTS)
def test_axe_finds(found: list[str], expected: str) -> None:
    assert any(expected in fault for fault in found), found


def test_axe_accepts_a_sound_page(browser: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(SOUND.replace("HERE", "<p>text</p>"))
    assert violations(browser, page.as_uri()) == []


def test_a_heavy_page_is_measured(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(bytes(LIMIT))
    (tmp_path / "page.html").write_text('<img alt="x" src="x.png"><img alt="x" src="x.png">')
    assert sizes(tmp_path, "page.html")[".png"] == LIMIT


def test_finishing_a_page_twice_changes_nothing_more() -> None:
    text = (
        "<table><thead><tr><th class='head'><p></p></th><th>a</th></tr></thead></table>"
        '<dl>\n<dd><em class="sig-param">x</em>,</dd>\n</dl><dl><dt>a</dt><dd>b</dd></dl>'
    )
    once = finish.mend(text)
    assert finish.mend(once) == once
    assert "<td class='head'></td><th>a</th>" in once
    assert "<div><em" in once and "<dl><dt>a</dt><dd>b</dd></dl>" in once


def test_icons_are_kept_by_name_and_by_other_name() -> None:
    script = 'p={bell:[4,5,[128276,"ring"],"f0f3","M1"],"a-b":[1,2,[],"f1",["M","N"]],z:[1,2,[],"f2","M"]}'
    assert finish.fewer_icons(script, {"ring"}) == 'p={bell:[4,5,[128276,"ring"],"f0f3","M1"]}'
    assert finish.fewer_icons(script, {"a-b"}) == 'p={"a-b":[1,2,[],"f1",["M","N"]]}'


def test_a_picture_gets_smaller_only_where_it_stays_the_same() -> None:
    def png(pixels: np.ndarray) -> bytes:
        file = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
        return file.getvalue()

    few = png(np.random.default_rng(0).integers(0, 2, (64, 64, 1)) * np.array([200, 90, 40]))
    many = png(np.random.default_rng(0).integers(0, 256, (64, 64, 3)))
    assert len(finish.lighter(few)) < len(few)
    same = [
        np.asarray(Image.open(io.BytesIO(p)).convert("RGB")) for p in (few, finish.lighter(few))
    ]
    assert (same[0] == same[1]).all()
    assert finish.lighter(many) == many
