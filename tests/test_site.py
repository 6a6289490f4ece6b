"""The built site, looked at as a visitor's browser does. `make book` builds it.

Each check returns a list of faults, sentences that name the page. The last tests feed
the same checks a small site that has every one of these faults, and one that has none.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no other host can be reached
]  # fmt: skip
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
NARROW = {"width": 320, "height": 700}  # a page of 1280 px, enlarged four times


def toc_pages() -> list[str]:
    """Return the addresses of all pages in the table of contents, in order."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    chapters = [c["file"] for part in toc["parts"] for c in part["chapters"]]
    return [f"{name}.html" for name in [toc["root"], *chapters]]


# Of the Chinese edition these are opened; the files of all its pages are read. They hold its
# landing page, a figure to play with, tables, definitions, a long page in English and a search.
CHINESE = [
    f"zh/{name}.html"
    for name in (
        "book/index", "book/gates/cell", "book/reference/notation", "book/reference/glossary",
        "book/reference/api", "search",
    )
]  # fmt: skip


# --- what can be read from the files ------------------------------------------------


class Page(HTMLParser):
    """Ids, links and images of one page, and the headings of its article."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.images: list[dict[str, str]] = []
        self.headings: list[int] = []
        self.in_article = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.ids |= {given[key] for key in ("id", "name") if given.get(key)}
        self.links += [given[key] for key in ("href", "src") if given.get(key)]
        if tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            self.links.append(given["content"].partition("url=")[2])
        if tag == "img":
            self.images.append(given)
        self.in_article |= tag == "article"
        if self.in_article and len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag: str) -> None:
        self.in_article &= tag != "article"


def read_site(site: Path) -> dict[str, Page]:
    """Return every page of the site by its address; the theme's templates are no pages."""
    files = {file.relative_to(site).as_posix(): file for file in sorted(site.rglob("*.html"))}
    return {a: Page(f.read_text()) for a, f in files.items() if "_static/" not in a}


def broken_links(site: Path, pages: dict[str, Page]) -> list[str]:
    """Name each link inside the site whose file or whose #fragment does not exist."""
    faults = []
    for address, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            path = unquote(parts.path)
            base = site if path.startswith("/") else (site / address).parent
            target = (base / path.lstrip("/")).resolve() if path else site / address
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                faults.append(f"{address}: link to {link}, which is not there")
            elif parts.fragment and target.suffix == ".html":
                name = target.relative_to(site.resolve()).as_posix()
                if unquote(parts.fragment) not in pages[name].ids:
                    faults.append(f"{address}: link to {link}, whose #fragment is not there")
    return faults


def unclear_structure(address: str, page: Page) -> list[str]:
    """Name images without a description, and headings that leave out a level."""
    faults = []
    for image in page.images:
        alt = image.get("alt", "").strip()
        if not alt or "_images/" in alt:
            faults.append(f"{address}: image {image.get('src')} without alternative text")
    if page.headings.count(1) != 1 or page.headings[0] != 1:
        faults.append(f"{address}: expected one heading of level 1, first, got {page.headings}")
    for before, after in zip(page.headings, page.headings[1:]):
        if after > before + 1:
            faults.append(f"{address}: heading of level {after} follows one of level {before}")
    return faults


# --- what only a browser knows -------------------------------------------------------

ROOT_OF = "const root = document.querySelector('article, main') || document.body, faults = [];"

MATHEMATICS = r"""() => {
  ROOT_OF
  for (const e of root.querySelectorAll('.math'))
    if (!e.querySelector('mjx-container'))
      faults.push('mathematics not rendered: ' + e.textContent.slice(0, 60));
  for (const e of document.querySelectorAll('mjx-merror'))
    faults.push('mathematics with an error: ' + (e.dataset.mjxError || e.textContent));
  const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let n; (n = walk.nextNode());) {
    if (n.parentElement.closest('pre, code, script, style, kbd')) continue;
    if (n.data.match(/\$\$|\\[a-zA-Z]{2,}|\\[(\[]/))
      faults.push('raw TeX on the page: ' + n.data.trim().slice(0, 60));
  }
  return faults;
}"""

PICTURES = """() => [...document.images].filter(i => i.complete && !i.naturalWidth)
  .map(i => 'image not shown: ' + i.src)"""

# Of the content box: in the dark, pictures have a padding. A rounded pixel is no distortion.
SHAPES = """() => [...document.images].filter(i => i.naturalWidth && i.getClientRects().length)
  .map(i => {
    const s = getComputedStyle(i), box = i.getBoundingClientRect();
    const inner = (size, ...sides) => sides.reduce((rest, side) => rest
      - parseFloat(s['padding' + side]) - parseFloat(s[`border${side}Width`]), size);
    return [i, inner(box.width, 'Left', 'Right'), inner(box.height, 'Top', 'Bottom')];
  })
  .filter(([i, w, h]) => Math.abs(h - w * i.naturalHeight / i.naturalWidth) > 1 + h / 100)
  .map(([i, w, h]) => `picture stretched: ${i.naturalWidth} x ${i.naturalHeight} shown as `
    + `${w.toFixed(0)} x ${h.toFixed(0)}: ` + i.src.slice(0, 80))"""

CONTRAST = r"""() => {
  ROOT_OF
  const parse = s => {
    const v = s.match(/[\d.]+/g).map(Number);
    return [v[0], v[1], v[2], v.length > 3 ? v[3] : 1];
  };
  const over = (a, b) => [0, 1, 2].map(k => a[k] * a[3] + b[k] * (1 - a[3])).concat(1);
  const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = c => [0.2126, 0.7152, 0.0722].reduce((s, w, k) => s + w * linear(c[k] / 255), 0);
  const ground = e => {
    const layers = [];
    for (; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const skipped = 'svg, mjx-container, script, style, button, .headerlink, [class*="kbd"]';
  const seen = new Set(), walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let n; (n = walk.nextNode());) {
    const e = n.parentElement;
    if (!n.data.trim() || e.closest(skipped) || !e.getClientRects().length) continue;
    const style = getComputedStyle(e), below = ground(e), text = over(parse(style.color), below);
    const [a, b] = [light(text), light(below)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const pair = `${style.color} on ${below.slice(0, 3).map(Math.round)}`;
    if (ratio < (large ? 3 : 4.5) && !seen.has(pair))
      faults.push(`contrast ${ratio.toFixed(1)}, ${pair}: ${n.data.trim().slice(0, 40)}`);
    seen.add(pair);
  }
  return faults;
}"""

WIDTH = """() => {
  ROOT_OF
  const wide = document.documentElement.scrollWidth;
  window.scrollTo(1000, 0);
  if (window.scrollX > 0 || wide > innerWidth)
    faults.push(`the page scrolls sideways: ${wide} px in ${innerWidth} px`);
  window.scrollTo(0, 0);
  const scrolls = e => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX);
  for (const e of root.querySelectorAll('*')) {
    if (e.closest('mjx-assistive-mml, svg, .visually-hidden')) continue;
    const box = e.getBoundingClientRect();
    if (!box.width || box.right <= innerWidth + 1) continue;
    let boxed = false;
    for (let p = e; p && p !== document.body; p = p.parentElement) boxed = boxed || scrolls(p);
    if (boxed) continue;
    faults.push(`cut at the right edge: <${e.tagName.toLowerCase()} class="${e.className}">`);
    break;
  }
  return faults;
}"""


def visit(browser: Any, base: str, address: str) -> list[str]:
    """Open a page, light and dark, wide and on a phone; return all faults."""
    page = browser.new_page()
    page.set_viewport_size(DESK)
    faults: list[str] = []

    def requested(request: Any) -> None:
        if not request.url.startswith((base, "data:", "blob:")):
            faults.append(f"request to another host: {request.url}")

    def answered(response: Any) -> None:
        if response.status >= 400:
            faults.append(f"{response.status}: {response.url}")

    page.on("request", requested)
    page.on("response", answered)
    page.on("requestfailed", lambda request: faults.append(f"failed request: {request.url}"))
    page.on("console", lambda m: faults.append(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(f"script error: {error}"))
    page.goto(base + address, wait_until="load")
    page.evaluate("async () => { if (window.MathJax?.startup) await MathJax.startup.promise; }")
    page.add_style_tag(content="*, *::before, *::after { transition: none !important }")

    def look(script: str) -> list[str]:
        found: list[str] = page.evaluate(script.replace("ROOT_OF", ROOT_OF))
        return found

    faults += look(MATHEMATICS) + look(PICTURES)
    for theme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        faults += [f"{theme}: {fault}" for fault in look(CONTRAST)]
    page.set_viewport_size(PHONE)
    faults += [f"at {PHONE['width']} px: {fault}" for fault in look(WIDTH) + look(SHAPES)]
    page.set_viewport_size(NARROW)
    faults += [f"at {NARROW['width']} px: {fault}" for fault in look(WIDTH)]
    page.close()
    return [f"{address}: {fault}" for fault in faults]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def serve(site: Path) -> Iterator[str]:
    """Serve a folder on a free port of this machine; yield its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


# --- the site --------------------------------------------------------------------------

# What an author does about a fault, by the words that the fault holds.
ADVICE = {
    "which is not there": "a link is relative to the file it stands in: see the page in book/",
    "#fragment": "a heading's #fragment is its text in small letters with dashes, to level 3",
    "alternative text": "write ![what is seen](file), or mystnb.image.alt in a cell's metadata",
    "heading of level": "a page has one heading #, and below it no level is left out",
    "another host": "the site works offline: keep the file in book/_static or do without it",
    "console:": "open the page with `make serve` and look at the browser's console",
    "script error": "open the page with `make serve` and look at the browser's console",
    "404": "a file that the page asks for is missing: compare its name, then `make book`",
    "failed request": "a file that the page asks for is missing: compare its name, then `make book`",
    "not shown": "the picture's file is damaged, or no picture: make it again",
    "stretched": "give width or height, not both",
    "mathematics": "mend the formula; a macro of your own goes into mathjax3_config in _config.yml",
    "raw TeX": "close the $, leave no space behind it, and no blank line between two $$",
    "contrast": "use the theme's colours, var(--pst-color-...), for text and ground",
    "px": "put what is wide into a box that scrolls, or break it",
}


def told(faults: list[str]) -> str:
    """Return faults, a line each, and what to do about each kind."""
    kinds = {ADVICE[words] for fault in faults for words in ADVICE if words in fault}
    return "\n".join([*faults, *(f"-> {advice}" for advice in sorted(kinds))])


@pytest.fixture(scope="module")
def site() -> Path:
    if not (SITE / "index.html").is_file():
        pytest.fail(f"the site is not built: run `make book` (expected {SITE}/index.html)")
    return SITE


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return read_site(site)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if shutil.which(CHROMIUM) is None:
        pytest.fail(f"no Chromium at {CHROMIUM}: run `apt-get install chromium`, or set CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium.new_context()  # one for all pages: scripts are fetched and compiled once
        chromium.close()


@pytest.fixture(scope="module")
def base(site: Path) -> Iterator[str]:
    yield from serve(site)


def test_every_page_of_the_contents_is_built(pages: dict[str, Page]) -> None:
    lost = [address for address in toc_pages() if address not in pages]
    assert not lost, f"in _toc.yml and not in the site, misspelled or older than it: {lost}"


def test_no_broken_link(site: Path, pages: dict[str, Page]) -> None:
    faults = broken_links(site, pages)
    assert not faults, told(faults)


@pytest.mark.parametrize("address", [*toc_pages(), *(f"zh/{name}" for name in toc_pages())])
def test_structure(pages: dict[str, Page], address: str) -> None:
    faults = unclear_structure(address, pages[address])
    assert not faults, told(faults)


@pytest.mark.parametrize("address", ["search.html", "genindex.html", *toc_pages(), *CHINESE])
def test_in_the_browser(browser: Any, base: str, address: str) -> None:
    faults = visit(browser, base, address)
    assert not faults, told(faults)


def test_the_root_leads_to_the_first_page(browser: Any, base: str) -> None:
    page = browser.new_page()
    page.goto(base)
    page.wait_for_url(base + toc_pages()[0], timeout=10_000)
    page.close()


def test_search_finds_a_word(browser: Any, base: str) -> None:
    page = browser.new_page()
    page.goto(f"{base}search.html?q=forget")
    page.wait_for_selector("#search-results li a", timeout=10_000)
    page.close()


@pytest.mark.parametrize("query", ["遗忘门", "门", "forget"])
def test_the_chinese_search_finds_words(browser: Any, base: str, query: str) -> None:
    page = browser.new_page()
    page.goto(f"{base}zh/search.html?q={query}")
    page.wait_for_selector('#search-results li a[href*="gates/cell.html"]', timeout=10_000)
    page.close()


def test_the_keyboard_changes_the_language_and_back(browser: Any, base: str) -> None:
    page = browser.new_page()
    page.goto(base + "book/gates/cell.html")
    for language, address in [("zh-CN", "zh/book/gates/cell.html"), ("en", "book/gates/cell.html")]:
        switch = page.locator(f'a[hreflang="{language}"][lang="{language}"]')
        switch.focus()
        page.keyboard.press("Enter")
        page.wait_for_url(base + address, timeout=10_000)
        assert page.evaluate("document.documentElement.lang") == language
    page.close()


# --- the checks themselves ---------------------------------------------------------------

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
SOUND = f"""<!doctype html><html lang="en"><head><title>t</title><link rel="icon" href="data:,"></head>
<body style="background: white; color: black"><article><h1 id="top">A</h1><h2>B</h2>
<p>Text with <code>\\frac</code>. <a href="#top">up</a> <a href="other.html#there">other</a></p>
<div style="overflow-x: auto"><div style="width: 2000px">wide, in its box</div></div>
<img src="{PIXEL}" alt="one pixel"></article></body></html>"""

FAULTS = {
    "request to another host": '<script src="http://example.invalid/x.js"></script>',
    "link to gone.html": '<a href="gone.html">x</a>',
    "#fragment is not there": '<a href="other.html#nowhere">x</a>',
    "without alternative text": f'<img src="{PIXEL}" alt="">',
    "heading of level 4": "<h4>x</h4>",
    "console: bad": "<script>console.error('bad')</script>",
    "script error": "<script>undefined_function()</script>",
    "404: ": '<script src="gone.js"></script>',
    "image not shown": '<img src="other.html" alt="not a picture">',
    "picture stretched: 1 x 1 shown as 300 x 200": (
        f'<img src="{PIXEL}" width="300" height="200" alt="one pixel, stretched">'
    ),
    "mathematics not rendered": '<div class="math">x</div>',
    "mathematics with an error": '<mjx-merror data-mjx-error="Missing close brace"></mjx-merror>',
    "raw TeX on the page: $$x$$": "<p>$$x$$</p>",
    "raw TeX on the page: \\frac": "<p>\\frac</p>",
    "light: contrast 1.9": '<p style="color: #bbb">pale</p>',
    "dark: contrast 1.6": "<style>[data-theme=dark] p { color: #ccc; }</style>",
    "cut at the right edge: <p": '<div style="overflow: hidden"><p style="width: 999px">wide</p></div>',
    "scrolls sideways": '<div style="width: 2000px">wide</div>',
}


def all_faults(browser: Any, site: Path, mistakes: str) -> list[str]:
    """Write a small site with these mistakes in it; return what the checks find."""
    (site / "other.html").write_text("<!doctype html><p id='there'>x</p>")
    (site / "page.html").write_text(SOUND.replace("</article>", f"{mistakes}</article>"))
    pages = read_site(site)
    faults = broken_links(site, pages) + unclear_structure("page.html", pages["page.html"])
    for base in serve(site):
        faults += visit(browser, base, "page.html")
    return faults


@pytest.fixture(scope="module")
def found(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return all_faults(browser, tmp_path_factory.mktemp("faulty"), "".join(FAULTS.values()))


@pytest.mark.parametrize("expected", FAULTS)
def test_the_checks_find(found: list[str], expected: str) -> None:
    named = [fault for fault in found if expected in fault]
    assert named, found
    assert told(named).partition("\n-> ")[2], "no ADVICE on this fault"


def test_the_checks_accept_a_sound_site(browser: Any, tmp_path: Path) -> None:
    assert all_faults(browser, tmp_path, "") == []


def test_a_missing_site_or_browser_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import sys

    this = sys.modules[__name__]
    monkeypatch.setattr(this, "SITE", tmp_path)
    monkeypatch.setattr(this, "CHROMIUM", str(tmp_path / "chromium"))
    with pytest.raises(pytest.fail.Exception, match="make book"):
        site.__wrapped__()
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        next(browser.__wrapped__())
