"""The ways in: map of the chapters, glossary, citation file, link previews, sitemap, print."""

from __future__ import annotations

import importlib
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from html import unescape
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from sphinx.application import Sphinx

import test_site
from test_site import SITE, serve, toc_pages
from weave import ROOT

browser = test_site.browser  # the fixture

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
GLOSSARY = (ROOT / "book" / "reference" / "glossary.md").read_text()


@cache
def prose(file: Path) -> str:
    """Return what a page says outside of its code, as one line."""
    text = file.read_text()
    if file.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return " ".join(text.split())


# --- the map of the chapters ---------------------------------------------------------------


def tags(file: Path) -> list[str]:
    """Return the objects that a notebook weaves, read without the book's own tools."""
    cells = json.loads(file.read_text())["cells"]
    found = [tag for cell in cells for tag in cell["metadata"].get("tags", [])]
    return [tag.removeprefix("weave:") for tag in found if tag.startswith("weave:")]


def map_items() -> dict[str, str]:
    """Return what the built map holds for each chapter."""
    page = (SITE / "book" / "index.html").read_text()
    whole = page[page.index('class="chapter-map') :]
    items = re.split(r'<li><p><strong><a class="reference internal" href="', whole)[1:]
    return {item.partition(".html")[0]: item.partition("</details>")[0] for item in items}


def shown() -> dict[str, list[str]]:
    """Return what the built map shows of each chapter: the full names of its pieces."""
    found = {}
    for chapter, item in map_items().items():
        names: list[str] = []
        for line in re.findall(r"<li><p>(.*?)</p>", item.partition("<details>")[2], re.S):
            module, *last = re.findall(r'<span class="pre">(.*?)</span>', line)
            names += [f"{module}.{name}" for name in last]
        found[chapter] = names
    return found


def test_the_map_shows_what_the_chapters_weave() -> None:
    expected = {}
    for page in toc_pages():
        file = ROOT / page.replace(".html", ".ipynb")
        if file.exists():
            expected[page.removeprefix("book/").removesuffix(".html")] = sorted(tags(file))
    found = shown()
    assert list(found) == list(expected)
    assert {name: sorted(names) for name, names in found.items()} == expected
    assert sum(map(len, found.values())) > 650


def test_the_map_links_the_package_and_counts() -> None:
    page = (SITE / "book" / "index.html").read_text()
    assert 'href="reference/api.html#lstm.gates.lstm_step"' in page
    own = [name for name in tags(ROOT / "book/bptt/sine.ipynb") if name.startswith("lstm.")]
    assert f"({len(own)} pieces)" in map_items()["bptt/sine"]


WOVEN = {"one": {"lstm.gates": ["lstm.gates.sigmoid"]}, "two": {}}


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        (["one | Why? | the sigmoid"], "two: has no line in the map"),
        (["one | Why? |", "two | How? |"], "one: expected after its question what it adds"),
        (["one | Why? | x", "two | How? | y"], "two: expected after its question nothing"),
        (["one | Why? | x", "two | How? |", "gone | What? |"], "got 'gone'"),
        (["one | Why? | x", "two | How? |", "two | How? |"], "got 'two'"),
        (["one | Why? | x", "two"], "`page | question | what it adds`, got 'two'"),
    ],
)
def test_a_wrong_line_of_the_map_is_named(lines: list[str], fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)):
        extension("chapter_map").read_entries(lines, WOVEN)


def extension(name: str) -> Any:
    """Return a module of `book/_ext`."""
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


# --- the glossary ---------------------------------------------------------------------------

ENTRY = re.compile(r"^(\S[^\n]*)\n((?:  [^\n]+\n)+)", re.M)


def entries(text: str) -> dict[str, tuple[str, list[str]]]:
    """Return each term of a glossary with its definition and the pages that this links to."""
    body = text.partition("```{glossary}\n")[2].rpartition("```")[0]
    return {t: (d, re.findall(r"\[.*?\]\((.*?)\)", d)) for t, d in ENTRY.findall(body)}


def glossary_faults(text: str) -> list[str]:
    """Name the terms out of order, without a page, or that the linked pages do not use."""
    found, faults = entries(text), []
    if list(found) != sorted(found, key=str.lower):
        faults.append("the terms are not in alphabetical order")
    folder = ROOT / "book" / "reference"
    for term, (_, links) in found.items():
        files = [(folder / link.partition("#")[0]).resolve() for link in links]
        lost = [link for link, file in zip(links, files) if not file.is_file()]
        faults += [f"{term}: its page {link} does not exist" for link in lost]
        used = re.compile(rf"\b{re.escape(term)}".replace("\\ ", "[ -]"), re.I)
        if not lost and not any(used.search(prose(file)) for file in files):
            faults.append(f"{term}: expected the word on the page it links to, {links}")
    return faults


def test_every_term_is_used_where_its_definition_leads() -> None:
    assert glossary_faults(GLOSSARY) == []
    terms = re.findall(r"^\S.*$", GLOSSARY.partition("{glossary}\n")[2].rpartition("```")[0], re.M)
    assert list(entries(GLOSSARY)) == terms and len(terms) >= 40


def test_faults_of_a_glossary_are_named() -> None:
    text = "```{glossary}\nwaffle\n  A cake. [](../start.ipynb)\n\ngate\n  A door. [](gone.md)\n\nzero\n  None.\n```"
    assert glossary_faults(text) == [
        "the terms are not in alphabetical order",
        "waffle: expected the word on the page it links to, ['../start.ipynb']",
        "gate: its page gone.md does not exist",
        "zero: expected the word on the page it links to, []",
    ]


def test_the_index_lists_the_terms_and_is_linked() -> None:
    index = (SITE / "genindex.html").read_text()
    for term in entries(GLOSSARY):
        assert f'#term-{term.replace(" ", "-")}"' in index, term
    for page in ("book/index.html", "book/reference/glossary.html"):
        assert "genindex.html" in (SITE / page).read_text().partition("<article")[2], page


# --- citation, previews, sitemap ------------------------------------------------------------


def test_the_citation_file_says_what_the_project_says() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == PROJECT["version"]
    assert cited["license"] == PROJECT["license"]
    author = yaml.safe_load((ROOT / "_config.yml").read_text())["author"]
    assert [entry["name"] for entry in cited["authors"]] == [author]
    assert set(cited["keywords"]) <= set(PROJECT["keywords"])
    assert cited["cff-version"] == "1.2.0" and cited["message"] and cited["title"]


def metas(page: Path) -> dict[str, str]:
    """Return the meta tags of a page by name."""
    found = re.findall(r'<meta (?:property|name)="(.*?)" content="(.*?)">', page.read_text())
    return {name: unescape(content) for name, content in found}


@pytest.mark.parametrize("address", toc_pages())
def test_a_link_to_a_page_has_a_preview(address: str) -> None:
    page = SITE / address
    found = metas(page)
    heading = re.search(r"<article.*?<h1>(.*?)<a class", page.read_text(), re.S)
    assert heading and found["og:title"] == unescape(re.sub("<.*?>", "", heading[1]))
    assert 20 < len(found["og:description"]) <= 200
    assert found["description"] == found["og:description"]
    base = yaml.safe_load((ROOT / "_config.yml").read_text())["html"].get("baseurl")
    image = found["og:image"]
    target = SITE / image.removeprefix(base) if base else page.parent / image
    assert target.read_bytes()[:4] == b"\x89PNG"
    assert ("og:url" in found) == bool(base)
    size = [int.from_bytes(target.read_bytes()[k : k + 4], "big") for k in (16, 20)]
    assert size == [int(found["og:image:width"]), int(found["og:image:height"])]


def build(folder: Path, base: str) -> Path:
    """Build a site of two pages with the previews; return where it is."""
    source = folder / "source"
    (source / "in").mkdir(parents=True)
    (source / "index.rst").write_text(
        "A & B\n=====\n\nA first page & more.\n\n.. toctree::\n\n   in/two\n"
    )
    (source / "in" / "two.rst").write_text("Two\n===\n\n" + "word " * 100)
    extension("preview")  # Sphinx finds it among the loaded modules
    settings = {"extensions": ["preview"], "html_baseurl": base, "project": "Small"}
    quiet = StringIO()
    app = Sphinx(source, None, folder / "out", folder / "tree", "html", settings, quiet, quiet)
    app.build()
    assert app.statuscode == 0, quiet.getvalue()
    return folder / "out"


def test_addresses_are_absolute_once_the_site_has_one(tmp_path: Path) -> None:
    site = build(tmp_path, "https://example.invalid/book/")
    first, second = metas(site / "index.html"), metas(site / "in" / "two.html")
    assert first["og:title"] == "A & B" and first["og:description"] == "A first page & more."
    assert second["og:url"] == "https://example.invalid/book/in/two.html"
    assert second["og:image"] == "https://example.invalid/book/_static/preview.png"
    assert len(second["og:description"]) <= 200 and second["og:description"].endswith("word …")
    listed = re.findall("<loc>(.*?)</loc>", (site / "sitemap.xml").read_text())
    assert listed == [f"https://example.invalid/book/{name}.html" for name in ("in/two", "index")]


def test_without_an_address_nothing_is_made_up(tmp_path: Path) -> None:
    site = build(tmp_path, "")
    assert not (site / "sitemap.xml").exists()
    found = metas(site / "in" / "two.html")
    assert "og:url" not in found and found["og:image"] == "../_static/preview.png"


# --- in the browser -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    yield from serve(SITE)


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page()
    yield page
    page.close()


def test_the_first_screen_holds_the_drawing_and_three_doors(page: Any, base: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{base}book/index.html")
    bottoms = page.evaluate("""() => [...document.querySelectorAll('.lstm-step, .doors .sd-card')]
      .map(e => e.getBoundingClientRect().bottom)""")
    assert len(bottoms) == 4 and max(bottoms) <= 800
    doors = page.evaluate("""() => [...document.querySelectorAll('.doors a.sd-stretched-link')]
      .map(a => a.getAttribute('href'))""")
    assert doors == ["start.html", "#run-it", "#use-it"]


# On paper of 180 mm: what must not show, what must, and what runs over the edge.
PAPER = """() => {
  const visible = e => e.checkVisibility({visibilityProperty: true, opacityProperty: true,
                                          contentVisibilityAuto: true});
  const all = s => [...document.querySelectorAll(s)], edge = document.documentElement.clientWidth;
  return {
    around: all('.bd-sidebar-primary, .bd-sidebar-secondary, .bd-header-article, .copybtn, .toggle-button')
      .filter(visible).length,
    folded: all('.solution p, .solution .cell_input').filter(e => !visible(e) || !e.offsetHeight).length,
    solutions: all('.solution').length,
    wide: all('article pre, article img, article svg').filter(e => !e.closest('mjx-container')
      && (e.scrollWidth > e.clientWidth + 1 && e.tagName === 'PRE'
          || e.getBoundingClientRect().right > edge + 1)).length,
    ink: getComputedStyle(document.querySelector('article p')).color,
    code: getComputedStyle(document.querySelector('article .highlight span.kn, article pre')).color,
  };
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_paper_solutions_are_open_and_nothing_is_cut(page: Any, base: str, theme: str) -> None:
    page.set_viewport_size({"width": 680, "height": 1000})
    page.goto(f"{base}book/gates/cell.html")
    page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
    assert page.evaluate(PAPER)["folded"] > 0  # on the screen they are closed
    page.emulate_media(media="print")
    found = page.evaluate(PAPER)
    assert (found["around"], found["folded"], found["wide"]) == (0, 0, 0)
    assert found["solutions"] >= 3
    for color in (found["ink"], found["code"]):
        assert sum(map(int, re.findall(r"\d+", color)[:3])) < 300, found
