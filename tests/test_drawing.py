"""The drawing of the LSTM step: that it is right, what it says of its parts, how it is lit.

It is drawn once, in book/lstm-step.svg, and put on pages by book/_ext/drawing.py.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import test_site
from test_site import serve

sys.path.insert(0, str(Path(__file__).parents[1] / "book" / "_ext"))
import drawing
from drawing import SVG

ROOT = Path(__file__).resolve().parents[1]
browser = test_site.browser  # the fixture
TEXT = (ROOT / "book" / "lstm-step.svg").read_text()
# From the equations: c = f * c_prev + i * g, h = o * tanh(c), and the blocks of (x, h_prev).
WIRES = """x xh, h-prev xh, xh f, xh i, xh g, xh o, c-prev kept, f kept, i written, g written,
  kept c, written c, c tanh-c, tanh-c h, o h"""
ARROWS = {tuple(pair.split()) for pair in WIRES.split(",")}
PLACED = {"h-prev": (8, 318), "x": (76, 392), "c-prev": (8, 72), "c": (425, 72)}


def groups(text: str, attribute: str) -> dict[str, ElementTree.Element]:
    """Return the groups of a drawing by an attribute of theirs."""
    found = ElementTree.fromstring(text).iter(f"{SVG}g")
    return {e.attrib[attribute]: e for e in found if attribute in e.attrib}


# --- the drawing is right -------------------------------------------------------------------


def ends(path: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return where a path of horizontal and vertical lines begins and ends."""
    (x, y), *moves = re.findall(r"([A-Z])([\d. ]+)", path)[0][1].split(), *[
        (letter, float(value)) for letter, value in re.findall(r"([HV])([\d.]+)", path)
    ]
    first = at = (float(x), float(y))
    for letter, value in moves:
        at = (value, at[1]) if letter == "H" else (at[0], value)
    return first, at


def near(part: ElementTree.Element, name: str, point: tuple[float, float]) -> bool:
    """Tell whether a point touches a part's shape, or the place where its letter stands."""
    x, y = point
    for shape in part:
        at = {k: float(v) for k, v in shape.attrib.items() if re.fullmatch(r"-?[\d.]+", v)}
        if shape.tag == f"{SVG}circle" and abs(x - at["cx"]) + abs(y - at["cy"]) <= at["r"] + 3:
            return True
        if shape.tag == f"{SVG}rect" and shape.get("class") != "hit":
            inside = at["x"] <= x <= at["x"] + at["width"]
            if inside and at["y"] <= y <= at["y"] + at["height"]:
                return True
    return PLACED.get(name) == point


def wrong_arrows(text: str) -> list[str]:
    """Name every arrow that the equations have not, or that does not join its two parts."""
    wires, parts = groups(text, "data-wire"), groups(text, "data-part")
    drawn = {tuple(name.split()) for name in wires}
    faults = [f"{name} is not in both" for name in drawn ^ ARROWS]
    for name, wire in wires.items():
        path = next(e for e in wire if e.get("class") in ("wire", "memory"))
        for part, point in zip(name.split(), ends(path.attrib["d"])):
            if not near(parts[part], part, point):
                faults.append(f"{name}: ends at {point}, which is not at {part}")
    return faults


def test_the_arrows_are_those_of_the_equations() -> None:
    assert wrong_arrows(TEXT) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('data-wire="i written"', 'data-wire="i g"'),  # the input gate feeds the candidate
        ("M280 232V158H253", "M280 232V158H150"),  # an arrow that ends nowhere
        ("M76 318H104V288", "M76 318H192V288"),  # x and h to another block
        ("M425 138V180", "M425 128V150"),  # tanh c reaches no product
    ],
)
def test_a_wrong_arrow_is_found(right: str, wrong: str) -> None:
    assert TEXT.count(right) == 1
    assert wrong_arrows(TEXT.replace(right, wrong)) != []


def test_it_stands_alone() -> None:
    """README shows the file as a picture: no theme, no other file."""
    assert not re.search(r"(?:href|src|url\(|@import)", TEXT)
    assert all("," in use for use in re.findall(r"var\(([^)]*)\)", TEXT))


# --- what is said of its parts --------------------------------------------------------------


def test_every_symbol_is_on_the_notation_page() -> None:
    symbols = [e.attrib["data-symbol"] for e in groups(TEXT, "data-symbol").values()]
    assert len(symbols) == 10
    for symbol in symbols:
        row = drawing.notation()[symbol]
        assert row.meaning and row.code and row.shape
    for letter in ("i", "f", "g", "o"):
        assert drawing.notation()[f"{letter}_t"].code == letter


@pytest.mark.parametrize(
    ("symbol", "backward", "said"),
    [
        ("f_t", False, "fₜ, forget gate: how much of the cell state is kept; in code f, shape (H, B)"),
        ("c_{t-1}", False, "cₜ₋₁, cell state before step t; in code c_prev, shape (B, H)"),
        ("\\tanh c_t", False, "tanh cₜ, the cell state, squashed; in code tanh_c, shape (H, B)"),
        ("f_t", True, "dfₜ, gradient of the loss with respect to fₜ; in code df, shape (H, B)"),
    ],
)  # fmt: skip
def test_what_a_part_says(symbol: str, backward: bool, said: str) -> None:
    assert drawing.fact(symbol, backward=backward) == said


def test_a_symbol_without_a_row_is_refused() -> None:
    with pytest.raises(ValueError, match="qq_t, which the notation page has not"):
        drawing.fact("qq_t")


# --- how it is lit --------------------------------------------------------------------------


def made(lit: str = "", *, backward: bool = False) -> str:
    return drawing.drawing("d", set(lit.split()), backward=backward, moves=False, styled=True)


def test_a_wire_is_lit_if_both_its_parts_are() -> None:
    lit = {"f", "kept", "c-prev"}
    text = made(" ".join(lit))
    for name, part in groups(text, "data-part").items():
        assert part.get("class") == ("lit" if name in lit else "quiet")
    wires = groups(text, "data-wire")
    assert {k for k, e in wires.items() if e.get("class") == "lit"} == {"f kept", "c-prev kept"}
    assert [*wires][-2:] == ["c-prev kept", "f kept"]  # on top of the quiet ones
    assert "Lit: cₜ₋₁, fₜ. The rest" in text


def test_without_a_list_nothing_is_quiet() -> None:
    assert "quiet" not in made().partition("</style>")[2]


def test_backward_its_arrows_are_turned_and_described() -> None:
    text = made("h o", backward=True)
    assert "Lit: doₜ, dhₜ." in text and "read from right to left" in text
    for name, group in (groups(TEXT, "data-wire") | {"c": groups(TEXT, "data-part")["c"]}).items():
        kinds = [e.get("class", "") for e in group]
        assert any("back" in kind for kind in kinds) or name.startswith("xh "), name


def test_an_unknown_part_is_named() -> None:
    with pytest.raises(ValueError, match=r"expected parts among c-prev, .*, h, got \['forget'\]"):
        made("f forget")


# --- on the page ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    yield from serve(test_site.site.__wrapped__())


@pytest.fixture
def page(browser: Any, base: str) -> Iterator[Any]:
    page = browser.new_page()
    page.route("**/mathjax/**", lambda route: route.abort())
    page.goto(f"{base}book/gates/step.html")
    yield page
    page.close()


def test_keyboard_pointer_and_finger_show_a_part(page: Any) -> None:
    figure = page.locator("figure.step-drawing").nth(1)
    line, part = figure.locator(".fact"), figure.locator
    hint = line.inner_text()
    part('[data-part="f"] rect').first.hover()
    assert line.inner_text() == drawing.fact("f_t")
    figure.locator("figcaption").hover()
    assert line.inner_text() == hint
    part('[tabindex="0"]').focus()
    assert line.inner_text() == drawing.fact("c_{t-1}")
    assert part('[tabindex="0"]').count() == 1  # a drawing is one stop of the Tab key
    for key, symbol in (("ArrowRight", "h_{t-1}"), ("End", "h_t"), ("ArrowDown", "c_{t-1}")):
        page.keyboard.press(key)
        assert line.inner_text() == drawing.fact(symbol)
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    part('[data-part="o"] rect').first.click()
    page.mouse.move(0, 0)
    assert line.inner_text() == drawing.fact("o_t")
    page.keyboard.press("Escape")
    assert line.inner_text() == hint


def test_it_is_read_aloud(page: Any) -> None:
    figure = page.locator("figure.step-drawing").first
    root = figure.get_by_role("group", name="One step of an LSTM")
    described = page.locator(f"#{root.get_attribute('aria-describedby')}")
    assert described.text_content().startswith("Lit: hₜ₋₁, xₜ, gₜ. The rest of the drawing is quiet.")
    assert figure.get_by_role("img", name=drawing.fact("f_t"), exact=True).count() == 1
    ids = page.evaluate("[...document.querySelectorAll('[id^=lstm-step]')].map(e => e.id)")
    assert len(ids) == len(set(ids)) == 5


def test_without_a_script_it_is_an_image_with_names(browser: Any, base: str) -> None:
    context = browser.browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{base}book/gates/step.html")
    figure = page.locator("figure.step-drawing").first
    assert figure.get_by_role("img", name="One step of an LSTM").count() == 1
    assert page.locator("figure.step-drawing title", has_text=drawing.fact("f_t")).count() == 5
    assert not figure.locator(".fact").is_visible()
    context.close()


WIDTHS = """part => [...document.querySelectorAll(`figure.step-drawing [data-part="${part}"]`)]
  .map(e => parseFloat(getComputedStyle(e.querySelector('.gate')).strokeWidth))"""
INK = """theme => {
  document.documentElement.dataset.theme = theme;
  const svg = document.querySelector('.lstm-step'), style = s => getComputedStyle(svg.querySelector(s));
  return [style('.lit').color, style('.quiet').color, getComputedStyle(document.body).backgroundColor];
}"""


def luminance(color: str) -> float:
    values = [int(v) / 255 for v in re.findall(r"\d+", color)[:3]]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear))


def test_what_is_lit_is_thick_and_all_can_be_read(page: Any) -> None:
    assert page.evaluate(WIDTHS, "f") == [1, 1, 4, 4, 1]  # not by color alone
    for theme in ("light", "dark"):
        lit, quiet, ground = map(luminance, page.evaluate(INK, theme))
        for ink in (lit, quiet):
            assert (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05) >= 4.5


def test_its_text_is_large_enough_on_a_phone(page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    scale = page.evaluate("document.querySelector('.lstm-step').getScreenCTM().a")
    smallest = min(int(v) for v in re.findall(r"font-size: (\d+)px", TEXT))
    assert scale * smallest >= 11


def test_on_the_first_page_it_moves_once_and_for_less_than_five_seconds(
    browser: Any, base: str
) -> None:
    page = browser.new_page()
    page.goto(f"{base}book/index.html", wait_until="domcontentloaded")
    times = """() => [...document.querySelectorAll('.lstm-step *')].map(e => getComputedStyle(e))
      .filter(s => s.animationName !== 'none').map(s => [parseFloat(s.animationDelay),
        parseFloat(s.animationDuration), s.animationIterationCount])"""
    found = page.evaluate(times)
    assert len({delay for delay, *_ in found}) == 6  # one after the other
    assert max(delay + lasts for delay, lasts, _ in found) <= 5
    assert {count for *_, count in found} == {"1"}
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(times) == []
    page.close()
