"""The figures to play with: moved in Chromium, each number compared with the package's.

What a figure should show follows from where its inputs stand, so every check is the same:
move them, read them, compute, compare. The last tests plant mistakes in the script.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import train_figures
from draw_figures import FILES, ROOT, SCRIPT, drawn
from lstm import LSTM, RNN, mean_squared_error, sine_task, sunspots, warmup_exponential
from lstm.diagnostics import half_life
from lstm.gates import gate_scale, lstm_step, lstm_step_backward, sigmoid
from test_site import browser, serve, site

Numbers = dict[str, float]
Drawing = dict[str, Any]
PAGES = {
    "step": "gates/step", "latch": "gates/cell", "halflife": "initialization/scale",
    "depth": "initialization/scale", "reach": "bptt/sequence", "chunks": "bptt/sine",
    "climb": "bptt/sine", "gates": "practice/sunspots",
}  # fmt: skip
# From numbers to places in the drawing: (from, to), (left, right); (from, to), (bottom, top).
AXES = {
    "step": (((-3, 3), (64, 304)), None),
    "latch": (((0, 40), (40, 348)), ((-1, 1), (170, 14))),
    "halflife": (((0, 110), (40, 348)), ((0, 1), (160, 14))),
    "depth": (((0, 100), (46, 348)), ((-24, 8), (174, 14))),
    "reach": (((0, 60), (46, 348)), ((-24, 8), (174, 14))),
    "chunks": (((1, 40), (40, 344)), ((0, 1), (150, 26))),
}
# The figures that hold several drawings, from above.
PANELS = {
    "climb": [
        (((0, 1000), (46, 348)), ((-1, 1), (106, 22))),
        (((0, 50), (46, 348)), ((-6, 0), (275, 165))),
    ],
    "gates": [
        (((-40, 1), (46, 340)), ((0, 200), (98, 14))),
        (((-40, 1), (46, 340)), ((0, 1), (196, 126))),
        (((-40, 1), (46, 340)), ((-1, 1), (288, 222))),
    ],
}
POWERS = [AXES["reach"][1], PANELS["climb"][1][1]]  # axes of logarithms
TICKS = {"½": 0.5, "10⁻²": -2.0, "10⁻⁴": -4.0, "10⁻⁶": -6.0, "10⁻¹⁰": -10.0, "10⁻²⁰": -20.0}


def place(axis: Any, values: Any) -> Any:
    (a, b), (p, q) = axis
    return p + (np.asarray(values, float) - a) / (b - a) * (q - p)


# --- what the package says ----------------------------------------------------------------


def run_step(z: Any, c_prev: float) -> tuple[Any, float, float]:
    """Return the gates, c and h after one step of the package."""
    gates = np.array(z, float)
    h, c, tanh_c = np.empty(()), np.empty(()), np.empty(())
    lstm_step(gates, np.array(c_prev), h, c, tanh_c, gate_scale(gates))
    return gates, float(c), float(h)


def step(zi: float, zf: float, zg: float, zo: float, before: float) -> tuple[Numbers, Drawing]:
    (i, f, g, o), c, h = run_step([zi, zf, zg, zo], before)
    numbers = dict(i=i, f=f, g=g, o=o, kept=f * before, written=i * g, c=c, h=h)
    zero, bars = place(AXES["step"][0], 0), place(AXES["step"][0], list(numbers.values()))
    return numbers, {name: [min(zero, end), abs(end - zero)] for name, end in zip(numbers, bars)}


def latch(
    write: float, keep: float, leak: float, look: float, read: float
) -> tuple[Numbers, Drawing]:
    with np.errstate(divide="ignore"):  # a gate of 0 or 1 has an infinite pre-activation
        logit = {gate: np.log(gate) - np.log1p(-gate) for gate in (0.0, write, keep, leak)}
    c, cells = 0.0, []
    for t in range(41):
        f, i = (0.0, write) if t == 2 else (keep, leak if t > 2 else 0.0)
        offer = -np.inf if t % 2 else np.inf
        c = run_step([logit[i], logit[f], offer, 0.0], c)[1]
        cells.append(c)
    held = cells[int(read)]
    x, y = AXES["latch"]
    drawing = {
        "cells": [[place(x, t), place(y, 0), place(y, v)] for t, v in enumerate(cells)],
        "reading": [place(x, read), 14, 170],
        "shown": [place(x, read), place(y, look * held)],
    }
    return {"written": cells[2], "c": held, "h": look * held}, drawing


def halflife(bias: float) -> tuple[Numbers, Drawing]:
    left = [1.0]
    for _ in range(110):
        left.append(run_step([0.0, bias, 0.0, 0.0], left[-1])[1])
    f = sigmoid(np.array(bias))
    steps = float(half_life(f))
    x, y = AXES["halflife"]
    curve = np.transpose([place(x, np.arange(111)), place(y, left)])
    at = place(x, steps)
    drawing = {"curve": curve, "half": [at, place(y, 0.5), 160], "dot": [at]}
    return {"f": float(f), "steps": steps, "left": left[100]}, drawing


def generator(seed: int) -> Callable[..., Any]:
    """Return the script's source of numbers, as a function that draws an array."""
    state = seed

    def draw(*shape: int) -> Any:
        nonlocal state
        values = []
        for _ in range(math.prod(shape)):
            state = (state * 1664525 + 1013904223) % 2**32
            values.append(3**0.5 * (2 * state / 2**32 - 1))
        return np.reshape(values, shape)

    return draw


def norms(layer: Any, weights: tuple[Any, Any, Any], x: Any, dh: Any) -> Any:
    """Return log10 of the norms of dx by steps back, relative to the last step's."""
    for name, value in zip(("weight_ih_l0", "weight_hh_l0", "bias_l0"), weights):
        layer.params[name][...] = value
    y, _ = layer(x)
    dy = np.zeros_like(y)
    dy[-1] = dh
    sizes = np.linalg.norm(layer.backward(dy)[0][:, 0], axis=1)[::-1]
    return np.log10(sizes / sizes[0])


def reach(factor: float, bias: float) -> tuple[Numbers, Drawing]:
    draw = generator(2)
    W, U, x, dh = draw(64, 4) / 2, factor * draw(64, 16) / 4, draw(61, 1, 4), draw(1, 16)
    b = np.repeat([0.0, bias, 0.0, 0.0], 16)
    candidate = slice(32, 48)
    lines = {
        "lstm": norms(LSTM(4, 16, dtype=np.float64), (W, U, b), x, dh),
        "rnn": norms(RNN(4, 16, dtype=np.float64), (W[candidate], U[candidate], 0), x, dh),
    }
    x_axis, y_axis = AXES["reach"]
    steps = place(x_axis, np.arange(61))
    drawing = {k: np.transpose([steps, place(y_axis, line)]) for k, line in lines.items()}
    return {k: line[60] for k, line in lines.items()}, drawing


def depth(factor: float, steps: float) -> tuple[Numbers, Drawing]:
    draw = generator(3)
    U, h = factor * draw(16, 16) / 4, draw(16)
    rnn = RNN(1, 16, dtype=np.float64)
    for name, value in (("weight_ih_l0", 0), ("weight_hh_l0", U), ("bias_l0", 0)):
        rnn.params[name][...] = value
    y = rnn(np.zeros((100, 1, 1)), (h.reshape(1, 1, 16),))[0][:, 0]
    # Each step again, as 16 sequences of the batch; each of them sends one unit vector back.
    before = np.repeat(np.vstack([h, y[:-1]]), 16, axis=0)
    rnn(np.zeros((1, 1600, 1)), (before[None],))
    _, (rows,) = rnn.backward(np.zeros((1, 1600, 16)), (np.tile(np.eye(16), (1, 100, 1)),))
    J, products = np.eye(16), []
    for factor_of_step in rows.reshape(100, 16, 16):
        J = factor_of_step @ J
        products.append(J)
    lines = {
        "h": np.log10(np.sqrt(np.mean(y**2, axis=1))),
        "gradient": np.log10(np.sqrt(np.sum(np.square(products), axis=(1, 2)) / 16)),
    }
    x_axis, y_axis = AXES["depth"]
    at = place(x_axis, np.arange(1, 101))
    drawing: Drawing = {k: np.transpose([at, place(y_axis, v)]) for k, v in lines.items()}
    drawing["at"] = [place(x_axis, steps), 14, 174]
    return {k: v[int(steps) - 1] for k, v in lines.items()}, drawing


def chunks(length: float, at: float, f: float) -> tuple[Numbers, Drawing]:
    dc, parts = np.ones(1), {}
    for s in range(int(at), 0, -1):
        parts[s] = float(dc[0])
        lstm_step_backward(np.zeros(1), dc, np.zeros((4, 1)), np.zeros(1), np.array([f]))
    first = int(length) * ((int(at) - 1) // int(length)) + 1
    whole, inside = sum(parts.values()), sum(v for s, v in parts.items() if s >= first)
    x, y = AXES["chunks"]
    stems = {s: [place(x, s), place(y, 0), place(y, v)] for s, v in sorted(parts.items())}
    drawing = {
        "kept": [stem for s, stem in stems.items() if s >= first],
        "cut": [stem for s, stem in stems.items() if s < first],
        "ends": [[place(x, s + 0.5), 20, 156] for s in range(1, 40) if s % length == 0],
        "loss": [place(x, at)],
    }
    lost = 100 * (1 - inside / whole) if first > 1 else 0.0
    return {"first": first, "whole": whole, "inside": inside, "lost": lost}, drawing


def climb(epoch: float) -> tuple[Numbers, Drawing]:
    train, _ = sine_task(np.float64)
    losses, forecasts = train_figures.climb()
    nothing, k = float(mean_squared_error(train.x, train.y)[0]), int(epoch)
    rate = warmup_exponential(train_figures.RATE, train_figures.DECAY)(max(0, k - 1))
    (x, y), (across, up) = PANELS["climb"]
    steps, shown = place(x, train_figures.SHOWN + 1), train_figures.SHOWN
    at = place(across, k)
    drawing = {
        "target": np.transpose([steps, place(y, train.y[shown, 0, 0])]),
        "forecast": np.transpose([steps, place(y, forecasts[k])]),
        "loss": np.transpose([place(across, np.arange(51)), place(up, np.log10(losses))]),
        "baselines": [[46, place(up, np.log10(v)), 348] for v in (0.5, nothing, 2e-5)],
        "at": [at, 165, 275],
        "now": [at, place(up, np.log10(losses[k]))],
    }
    return {"loss": losses[k], "ratio": losses[k] / nothing, "rate": rate}, drawing


def gates(year: float, unit: float) -> tuple[Numbers, Drawing]:
    numbers, (model, mean, std) = sunspots()[1], train_figures.gates()
    y = model(((np.sqrt(numbers) - mean) / std)[:, None, None])[0][:, 0, 0]
    forecasts = np.maximum(y * std + mean, 0) ** 2
    trace = {k: v[:, 0, int(unit) - 1] for k, v in model.recurrent.trace()._asdict().items()}
    at = int(year) - 1700
    back, span = np.arange(-40, 1), slice(at - 40, at + 1)
    (x, spots), (_, share), (_, state) = PANELS["gates"]
    h = zip(place(x, back), place(state, trace["h"][span]))
    drawing: Drawing = {
        "numbers": np.transpose([place(x, back), place(spots, numbers[span])]),
        "forecasts": np.transpose(
            [place(x, np.arange(-40, 2)), place(spots, forecasts[at - 41 : at + 1])]
        ),
        "next": [place(x, 1), place(spots, numbers[at + 1])],
        "h": [[a, place(state, 0), b] for a, b in h],
        "squashed": np.transpose([place(x, back), place(state, np.tanh(trace["c"][span]))]),
    }
    for name in "ifo":
        drawing[name] = np.transpose([place(x, back), place(share, trace[name][span])])
    found = {name: trace[name][at] for name in "ifoch"}
    found |= dict(number=numbers[at], forecast=forecasts[at], truth=numbers[at + 1])
    return found, drawing


DRAWN = (step, latch, halflife, depth, reach, chunks, climb, gates)
EXPECTED = {f.__name__: f for f in DRAWN}

# --- what the page says -------------------------------------------------------------------

READ = """name => {
  const figure = document.querySelector(`figure[data-play="${name}"]`);
  const all = selector => [...figure.querySelectorAll(selector)];
  const attribute = (e, key) => e.getAttribute(key) ?? '';
  return {
    inputs: Object.fromEntries(all('input').map(e => [e.name, e.valueAsNumber])),
    numbers: all('[data-name]').map(e => [e.dataset.name, e.dataset.value, e.textContent]),
    parts: Object.fromEntries(all('[data-part]').map(e => [e.dataset.part,
      ['x', 'width', 'd', 'cx', 'cy'].filter(k => !(k === 'cy' && e.dataset.part === 'dot'))
        .map(k => attribute(e, k)).join(' ')])),
  };
}"""


def rounded(text: str, value: float) -> bool:
    """Tell whether a text on the page is this number, rounded."""
    mantissa, _, exponent = text.replace("−", "-").partition("e")
    scale = 10.0 ** int(exponent or 0)
    half = 0.5 * 10.0 ** -len(mantissa.partition(".")[2])
    return abs(float(mantissa) - value / scale) <= half * (1 + 1e-9)


def differences(page: Any, name: str) -> list[str]:
    """Compare all that a figure shows with what the package computes from its inputs."""
    shown = page.evaluate(READ, name)
    numbers, drawing = EXPECTED[name](**shown["inputs"])
    expected, where = numbers | shown["inputs"], f"{name} at {shown['inputs']}"
    faults = [
        f"{where}: {k} is not shown" for k in expected.keys() - {n for n, *_ in shown["numbers"]}
    ]
    for key, text, screen in shown["numbers"]:
        if not math.isclose(float(text), expected[key], rel_tol=1e-6, abs_tol=1e-14):
            faults.append(f"{where}: {key} is {text}, expected {expected[key]!r}")
        if not rounded(screen, float(text)):
            faults.append(f"{where}: {key} is {text}, and shown as {screen}")
    for part, points in drawing.items():
        found = [float(v) for v in re.findall(r"-?\d+(?:\.\d+)?", shown["parts"][part])]
        points = np.ravel(points)
        if len(found) != len(points) or (abs(points - found) > 0.06).any():
            faults.append(f"{where}: {part} is drawn in another place")
    return faults


MOVE = """([name, places]) => {
  const inputs = document.querySelectorAll(`figure[data-play="${name}"] input`);
  for (const [k, input] of inputs.entries()) {
    input.value = Number(input.min) + places[k] * (input.max - input.min);
    input.dispatchEvent(new Event('input', { bubbles: true }));
  }
}"""


def settings(page: Any, name: str, count: int) -> Iterator[None]:
    """Put all inputs of a figure to places drawn at random, `count` times."""
    for places in np.random.default_rng(0).random((count, 5)).tolist():
        page.evaluate(MOVE, [name, places])
        yield


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    yield from browser.__wrapped__()


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    yield from serve(site.__wrapped__())


@pytest.fixture(params=PAGES, scope="module")
def opened(request: Any, chromium: Any, base: str) -> Iterator[tuple[Any, str]]:
    """Open the page of each figure, without the mathematics and pictures, which take long."""
    page = chromium.new_page()
    page.route(re.compile("mathjax|_images"), lambda route: route.abort())
    page.goto(f"{base}book/{PAGES[request.param]}.html", wait_until="domcontentloaded")
    yield page, request.param
    page.close()


def test_moved_at_random(opened: tuple[Any, str]) -> None:
    page, name = opened
    assert differences(page, name) == []
    for _ in settings(page, name, 6):
        assert differences(page, name) == []


def test_moved_by_keyboard(opened: tuple[Any, str]) -> None:
    page, name = opened
    inputs = page.locator(f'figure[data-play="{name}"] input').all()
    inputs[0].focus()
    for entry in inputs:
        key = entry.get_attribute("name")
        low, high, by = (float(entry.get_attribute(k)) for k in ("min", "max", "step"))
        moves = (("End", high), ("ArrowLeft", high - by), ("Home", low), ("ArrowRight", low + by))
        for press, value in moves:
            page.keyboard.press(press)
            assert page.evaluate(READ, name)["inputs"][key] == pytest.approx(value)
            assert differences(page, name) == []
        page.keyboard.press("Tab")


def test_can_be_read_aloud(opened: tuple[Any, str]) -> None:
    page, name = opened
    figure = page.locator(f'figure[data-play="{name}"]')
    inputs = figure.locator("input").all()
    labels = [
        entry.evaluate("e => [...e.labels].map(l => l.textContent).join()") for entry in inputs
    ]
    assert len(set(labels)) == len(labels) and all(label.strip() for label in labels)
    assert figure.get_by_role("slider").count() == len(inputs)
    drawing = figure.get_by_role("img")
    assert len(drawing.get_attribute("aria-label")) > 40
    says = page.locator(f"#{drawing.get_attribute('aria-describedby')}")
    assert says.get_attribute("aria-live") == "polite"
    assert says.get_attribute("for").split() == [e.get_attribute("id") for e in inputs]
    said = set()
    for entry in inputs:
        for key in ("Home", "End"):
            entry.press(key)
            said.add(says.text_content())
    assert len(said) > len(inputs)


def test_fits_a_small_phone(opened: tuple[Any, str]) -> None:
    page, name = opened
    page.set_viewport_size({"width": 320, "height": 640})
    figure = page.locator(f'figure[data-play="{name}"]')
    assert figure.evaluate("e => e.scrollWidth <= e.clientWidth && e.clientHeight < 640")
    narrow = "e => e.getBoundingClientRect().width"
    assert min(e.evaluate(narrow) for e in figure.locator("input").all()) > 100


COLORS = """([name, theme]) => {
  document.documentElement.dataset.theme = theme;
  const drawing = document.querySelector(`figure[data-play="${name}"] svg`);
  const style = [...drawing.querySelectorAll('*')].map(e => getComputedStyle(e));
  return style.flatMap(s => [s.fill, s.stroke]).filter(color => color.startsWith('rgb'));
}"""


def test_every_color_follows_the_theme(opened: tuple[Any, str]) -> None:
    page, name = opened
    light, dark = (page.evaluate(COLORS, [name, theme]) for theme in ("light", "dark"))
    assert len(light) == len(dark) and all(a != b for a, b in zip(light, dark))


def test_every_figure_is_on_a_page_and_tested() -> None:
    assert {file.stem for file in FILES} == set(PAGES) == set(EXPECTED)
    for name, page in PAGES.items():
        assert f"figures/{name}.html" in (ROOT / "book" / f"{page}.ipynb").read_text()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_ticks_stand_where_their_numbers_are(chromium: Any, file: Path) -> None:
    text, panels = file.read_text(), PANELS.get(file.stem) or [AXES[file.stem]]

    def axes(y: str, far: int) -> Any:  # of the first panel whose foot is not far above
        return next(p for p in panels if p[1] is None or int(y) <= p[1][1][0] + far)

    for x, y, label in re.findall(r'class="mid" x="(\d+)" y="(\d+)">(−?\d+)<', text):
        assert abs(place(axes(y, 30)[0], float(label.replace("−", "-"))) - int(x)) <= 0.5
    for y, label in re.findall(r'class="end" x="\d+" y="(\d+)">([^<a-z]+)<', text):
        y_axis = axes(y, 10)[1]
        value = TICKS.get(label) or float(label.replace("−", "-"))
        value = 0.0 if y_axis in POWERS and label == "1" else value
        assert abs(place(y_axis, value) + 5 - int(y)) <= 0.5


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_drawing_without_a_script_is_the_first_one(chromium: Any, file: Path) -> None:
    def short(text: str) -> str:  # the last digits are the browser's
        return re.sub(r"-?\d+\.\d{9,}(e-?\d+)?", lambda m: f"{float(m[0]):.9g}", text)

    now = short(drawn(chromium, file.read_text(), SCRIPT.read_text()))
    assert now == short(file.read_text()), "run .venv/bin/python tests/draw_figures.py"


def test_without_a_script_the_inputs_are_gone(chromium: Any, base: str) -> None:
    context = chromium.browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{base}book/{PAGES['step']}.html")
    figure = page.locator('figure[data-play="step"]')
    assert figure.locator("svg").is_visible() and "0.778" in figure.locator("output").inner_text()
    assert not figure.locator("input").first.is_visible()
    context.close()


def test_the_script_is_loaded_where_there_is_a_figure() -> None:
    with_figure = {f"book/{page}.html" for page in PAGES.values()}
    built = site.__wrapped__()
    for file in built.glob("book/**/*.html"):
        address = file.relative_to(built).as_posix()
        loaded = bool(re.search(r"<script[^>]*/figures\.js", file.read_text()))
        assert loaded == (address in with_figure), address


# --- the checks themselves ----------------------------------------------------------------

MISTAKES = {
    "a gate of another slope": ("step", "0.5 * Math.tanh(0.5 * x) + 0.5", "Math.tanh(x) / 2 + 0.5"),
    "no tanh of the cell": ("step", "h = o * Math.tanh(c)", "h = o * c"),
    "a bar to the wrong side": ("step", "x(Math.min(0, value))", "x(0)"),
    "rounded in the data": ("step", "dataset.value = value", "dataset.value = value.toFixed(3)"),
    "rounded wrongly": ("step", "value.toFixed(digits).re", "(value + 0.001).toFixed(digits).re"),
    "half is not a third": ("halflife", "Math.log(0.5)", "Math.log(0.33)"),
    "a curve of another gate": ("halflife", "y(f ** n)", "y((f * 0.99) ** n)"),
    "a leak that does not leak": ("latch", "t < 2 ? 0 : leak", "0"),
    "an output gate that is always open": ("latch", "look * cells[read]", "cells[read]"),
    "the candidate's slope": ("reach", "i[k] * (1 - g[k] ** 2)", "i[k] * (1 - g[k])"),
    "no gradient through the cell": ("reach", "dc.map((v, k) => v * f[k])", "dc.map(() => 0)"),
    "the slope of tanh": ("reach", "v * (1 - states[t][k] ** 2)", "v"),
    "a loss in another chunk": ("chunks", "((at - 1) % length)", "(at % length)"),
    "a share of what is kept": ("chunks", "total(cut) / total(parts)", "total(cut) / total(kept)"),
    "a product without the slopes": ("depth", "(1 - h[k] ** 2) * w", "w"),
    "the rate of the epoch after": ("climb", "Math.max(0, epoch - 1)", "epoch"),
    "a forecast one epoch late": ("climb", "forecast[epoch]", "forecast[Math.max(0, epoch - 1)]"),
    "another loss of doing nothing": ("climb", "distance * (t + 1)) - Math", "distance * t) - Math"),
    "a forecast of roots": ("gates", "* std + mean, 0) ** 2", "* std + mean, 0)"),
    "the gates of the unit beside": ("gates", "k = unit - 1", "k = unit % 8"),
    "a forecast drawn in its own year": ("gates", "forecasts[t - 1]", "forecasts[t]"),
    "no tanh of the cell below": ("gates", "steps[t].t[k]", "steps[t].c[k]"),
}  # fmt: skip


def faults_of(chromium: Any, name: str, script: str) -> list[str]:
    markup = (ROOT / "book" / "figures" / f"{name}.html").read_text()
    page = chromium.new_page()
    page.set_content(f"<!doctype html>{markup}<script>{script}</script>")
    faults = differences(page, name)
    for _ in settings(page, name, 2):
        faults += differences(page, name)
    page.close()
    return faults


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_found(chromium: Any, mistake: str) -> None:
    name, right, wrong = MISTAKES[mistake]
    script = SCRIPT.read_text()
    assert script.count(right) == 1, f"the script no longer has {right}"
    assert faults_of(chromium, name, script.replace(right, wrong)) != []


def test_an_input_without_a_figure_to_draw_is_said(chromium: Any) -> None:
    with pytest.raises(ValueError, match="halflife: no data-name bias"):
        drawn(chromium, '<figure data-play="halflife"><input type="range" name="bias"></figure>',
              SCRIPT.read_text())  # fmt: skip
