/* Figures to play with: an inline SVG, and range inputs that move it.

A figure is <figure data-play="name"> in book/figures/name.html, and a function of that name
below, called with the values of its inputs, with a pen for its drawing, and with the data that
the figure holds as JSON (tests/train_figures.py stores them). A number is an
element with data-name: the script keeps it in full precision in data-value and rounds it on
the screen. The tests compare data-value with the package. The markup holds the drawing for
the inputs' first values, which is what stays where there is no script. */
"use strict";

(() => {
  // --- shared -----------------------------------------------------------------------

  const range = (n) => Array.from({ length: n }, (_, k) => k);
  const sum = (values) => values.reduce((total, v) => total + v, 0);
  const sigmoid = (x) => 0.5 * Math.tanh(0.5 * x) + 0.5;
  const times = (matrix, v) => matrix.map((row) => sum(row.map((w, k) => w * v[k])));
  const transposed = (matrix) => matrix[0].map((_, k) => matrix.map((row) => row[k]));
  const size = (values) => Math.sqrt(sum(values.map((v) => v * v)) / values.length);

  /* The straight line that takes a to p and b to q: from numbers to places in the drawing. */
  const scale = (a, b, p, q) => (v) => p + ((v - a) / (b - a)) * (q - p);

  const curve = (points) =>
    points.map(([x, y], k) => `${k ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  const stems = (points, foot) =>
    points.map(([x, y]) => `M${x.toFixed(1)} ${foot.toFixed(1)}V${y.toFixed(1)}`).join("");

  /* Evenly drawn numbers of mean 0 and variance 1, the same in every browser. */
  function generator(seed) {
    let state = seed;
    return () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.sqrt(3) * ((2 * state) / 2 ** 32 - 1);
    };
  }

  const draw = (rows, columns, factor, next) =>
    range(rows).map(() => range(columns).map(() => factor * next()));

  const fixed = (digits) => (value) => {
    const text = value.toFixed(digits).replace("-", "−");
    return Number(value.toFixed(digits)) === 0 ? text.replace("−", "") : text;
  };
  const share = (value) =>
    value < 0.01 ? value.toExponential(0).replace("-", "−") : fixed(2)(value);

  const short = (value) => value.toExponential(1).replace("-", "−").replace("+", "");

  function penFor(figure) {
    const all = (attribute, name) => {
      const found = figure.querySelectorAll(`[data-${attribute}="${name}"]`);
      if (!found.length) throw new Error(`${figure.dataset.play}: no data-${attribute} ${name}`);
      return found;
    };
    return {
      write(name, value, format) {
        for (const element of all("name", name)) {
          element.dataset.value = value;
          element.textContent = format(value);
        }
      },
      set(name, attributes) {
        for (const element of all("part", name))
          for (const key in attributes) element.setAttribute(key, attributes[key]);
      },
    };
  }

  // --- the figures --------------------------------------------------------------------

  /* One LSTM step of one unit, from its four pre-activations and the cell before. */
  function step({ zi, zf, zg, zo, before }, pen) {
    const i = sigmoid(zi), f = sigmoid(zf), g = Math.tanh(zg), o = sigmoid(zo);
    const kept = f * before, written = i * g, c = kept + written, h = o * Math.tanh(c);
    const x = scale(-3, 3, 64, 304);
    for (const [name, value] of Object.entries({ i, f, g, o, kept, written, c, h })) {
      pen.write(name, value, fixed(3));
      pen.set(name, {
        x: x(Math.min(0, value)).toFixed(1),
        width: Math.abs(x(value) - x(0)).toFixed(1),
      });
    }
  }

  /* What a constant forget gate leaves of a cell. */
  function halflife({ bias }, pen) {
    const f = sigmoid(bias), steps = Math.log(0.5) / Math.log(f);
    const x = scale(0, 110, 40, 348), y = scale(0, 1, 160, 14);
    pen.write("f", f, fixed(3));
    pen.write("steps", steps, fixed(1));
    pen.write("left", f ** 100, share);
    pen.set("curve", { d: curve(range(111).map((n) => [x(n), y(f ** n)])) });
    pen.set("half", { d: `M${x(steps).toFixed(1)} ${y(0.5)}V${y(0)}` });
    pen.set("dot", { cx: x(steps).toFixed(1) });
  }

  /* A cell that is written at step 2, holds, and is read once; an offer comes at every step. */
  function latch({ write, keep, leak, look, read }, pen) {
    const offers = range(41).map((t) => (t % 2 ? -1 : 1));
    const cells = [];
    for (const [t, g] of offers.entries()) {
      const f = t === 2 ? 0 : keep;
      const i = t === 2 ? write : t < 2 ? 0 : leak;
      cells.push(f * (cells[t - 1] ?? 0) + i * g);
    }
    const h = look * cells[read];
    const x = scale(0, 40, 40, 348), y = scale(-1, 1, 170, 14);
    pen.write("written", cells[2], fixed(2));
    pen.write("c", cells[read], fixed(2));
    pen.write("h", h, fixed(2));
    pen.set("cells", { d: stems(cells.map((c, t) => [x(t), y(c)]), y(0)) });
    pen.set("reading", { d: `M${x(read).toFixed(1)} ${y(1)}V${y(-1)}` });
    pen.set("shown", { cx: x(read).toFixed(1), cy: y(h).toFixed(1) });
  }

  const INPUTS = 4, UNITS = 16, STEPS = 61;

  /* Gradients with respect to the input, for a loss that reads the last hidden state. */
  function plainNorms(W, U, xs, dh) {
    const states = [new Array(UNITS).fill(0)];
    for (const x of xs) {
      const a = times(W, x), b = times(U, states.at(-1));
      states.push(a.map((v, k) => Math.tanh(v + b[k])));
    }
    const [Wt, Ut] = [transposed(W), transposed(U)], norms = [];
    for (let t = xs.length; t > 0; t--) {
      const dz = dh.map((v, k) => v * (1 - states[t][k] ** 2));
      norms.unshift(Math.hypot(...times(Wt, dz)));
      dh = times(Ut, dz);
    }
    return norms;
  }

  function gatedSteps(W, U, bias, xs) {
    const units = U[0].length;
    let h = new Array(units).fill(0), c = h;
    return xs.map((x) => {
      const a = times(W, x), b = times(U, h);
      const z = a.map((v, k) => v + b[k] + bias[k]);
      const [i, f, g, o] = [sigmoid, sigmoid, Math.tanh, sigmoid].map((squash, block) =>
        z.slice(block * units, (block + 1) * units).map(squash));
      const before = c;
      c = f.map((v, k) => v * before[k] + i[k] * g[k]);
      const t = c.map(Math.tanh);
      h = o.map((v, k) => v * t[k]);
      return { i, f, g, o, before, t, c, h };
    });
  }

  function gatedNorms(W, U, bias, xs, dh) {
    const steps = gatedSteps(W, U, bias, xs), norms = [];
    const [Wt, Ut] = [transposed(W), transposed(U)];
    let dc = new Array(UNITS).fill(0);
    for (const { i, f, g, o, before, t } of steps.reverse()) {
      dc = dc.map((v, k) => v + dh[k] * o[k] * (1 - t[k] ** 2));
      const dz = [
        ...dc.map((v, k) => v * g[k] * i[k] * (1 - i[k])),
        ...dc.map((v, k) => v * before[k] * f[k] * (1 - f[k])),
        ...dc.map((v, k) => v * i[k] * (1 - g[k] ** 2)),
        ...dh.map((v, k) => v * t[k] * o[k] * (1 - o[k])),
      ];
      norms.unshift(Math.hypot(...times(Wt, dz)));
      dh = times(Ut, dz);
      dc = dc.map((v, k) => v * f[k]);
    }
    return norms;
  }

  /* How much of a gradient arrives, in a plain RNN and in an LSTM with untrained weights. */
  function reach({ factor, bias }, pen) {
    const next = generator(2), blocks = 4 * UNITS;
    const W = draw(blocks, INPUTS, INPUTS ** -0.5, next);
    const U = draw(blocks, UNITS, factor * UNITS ** -0.5, next);
    const xs = draw(STEPS, INPUTS, 1, next), [dh] = draw(1, UNITS, 1, next);
    const forget = range(blocks).map((k) => (Math.floor(k / UNITS) === 1 ? bias : 0));
    const candidate = (matrix) => matrix.slice(2 * UNITS, 3 * UNITS);
    const x = scale(0, 60, 46, 348), y = scale(-24, 8, 174, 14);
    const networks = {
      rnn: plainNorms(candidate(W), candidate(U), xs, dh),
      lstm: gatedNorms(W, U, forget, xs, dh),
    };
    for (const [name, norms] of Object.entries(networks)) {
      const parts = norms.reverse().map((norm) => norm / norms[0]);
      pen.write(name, Math.log10(parts[60]), fixed(1));
      pen.set(name, { d: curve(parts.map((part, k) => [x(k), y(Math.log10(part))])) });
    }
  }

  /* The gradient of a loss at one step, and the part of it that truncation cuts off. */
  function chunks({ length, at, f }, pen) {
    const first = at - ((at - 1) % length);
    const parts = range(at).map((k) => [k + 1, f ** (at - k - 1)]);
    const total = (pairs) => sum(pairs.map(([, part]) => part));
    const kept = parts.filter(([s]) => s >= first), cut = parts.filter(([s]) => s < first);
    const x = scale(1, 40, 40, 344), y = scale(0, 1, 150, 26);
    const place = (pairs) => stems(pairs.map(([s, part]) => [x(s), y(part)]), y(0));
    const ends = range(40).filter((s) => s && s % length === 0);
    pen.write("first", first, fixed(0));
    pen.write("whole", total(parts), fixed(3));
    pen.write("inside", total(kept), fixed(3));
    pen.write("lost", 100 * (total(cut) / total(parts)), fixed(1));
    pen.set("kept", { d: place(kept) });
    pen.set("cut", { d: place(cut) });
    pen.set("ends", { d: ends.map((s) => `M${x(s + 0.5).toFixed(1)} 20V156`).join("") });
    pen.set("loss", { x: x(at).toFixed(1) });
  }

  /* The size of a plain RNN's hidden state, and of the product of its Jacobians. */
  function depth({ factor, steps }, pen) {
    const next = generator(3);
    const U = draw(UNITS, UNITS, factor * UNITS ** -0.5, next);
    let [h] = draw(1, UNITS, 1, next);
    let columns = range(UNITS).map((j) => range(UNITS).map((k) => Number(j === k)));
    const points = { h: [], gradient: [] };
    for (let t = 0; t < 100; t++) {
      h = times(U, h).map(Math.tanh);
      columns = columns.map((v) => times(U, v).map((w, k) => (1 - h[k] ** 2) * w));
      points.h.push(size(h));
      points.gradient.push(size(columns.flat()) * Math.sqrt(UNITS));
    }
    const x = scale(0, 100, 46, 348), y = scale(-24, 8, 174, 14);
    for (const [name, sizes] of Object.entries(points)) {
      pen.write(name, Math.log10(sizes[steps - 1]), fixed(1));
      pen.set(name, { d: curve(sizes.map((v, k) => [x(k + 1), y(Math.log10(v))])) });
    }
    pen.set("at", { d: `M${x(steps).toFixed(1)} 14V174` });
  }

  /* A training of the sine task: the forecast after an epoch, and the loss after each. */
  function climb({ epoch }, pen, { loss, steps, forecast }) {
    const distance = (4 * Math.PI) / 1000;
    const nothing = sum(range(1000).map((t) =>
      (Math.sin(distance * (t + 1)) - Math.sin(distance * t)) ** 2)) / 1000;
    const x = scale(0, 1000, 46, 348), y = scale(-1, 1, 106, 22);
    const across = scale(0, 50, 46, 348), up = (v) => scale(-6, 0, 275, 165)(Math.log10(v));
    const places = (values) => curve(values.map((v, k) => [x(steps[k] + 1), y(v)]));
    pen.write("loss", loss[epoch], short);
    pen.write("ratio", loss[epoch] / nothing, (v) => fixed(v < 10 ? 2 : 0)(v));
    pen.write("rate", 3e-3 * 0.95 ** Math.max(0, epoch - 1), short);
    pen.set("target", { d: places(steps.map((t) => Math.sin(distance * (t + 1)))) });
    pen.set("forecast", { d: places(forecast[epoch].map((v) => v / 1e4)) });
    pen.set("loss", { d: curve(loss.map((v, k) => [across(k), up(v)])) });
    pen.set("baselines", {
      d: [0.5, nothing, 2e-5].map((v) => `M46 ${up(v).toFixed(1)}H348`).join(""),
    });
    pen.set("at", { d: `M${across(epoch).toFixed(1)} 165V275` });
    pen.set("now", { cx: across(epoch).toFixed(1), cy: up(loss[epoch]).toFixed(1) });
  }

  /* A trained LSTM over the sunspots: one unit's gates and states, and the forecasts. */
  function gates({ year, unit }, pen, { numbers, mean, std, W, U, b, V, a }) {
    const steps = gatedSteps(W, U, b, numbers.map((n) => [(Math.sqrt(n) - mean) / std]));
    const forecasts = steps.map(({ h }) =>
      Math.max((times(V, h)[0] + a[0]) * std + mean, 0) ** 2);
    const at = year - 1700, k = unit - 1, back = range(41).map((n) => n - 40);
    const x = scale(-40, 1, 46, 340), spots = scale(0, 200, 98, 14);
    const share = scale(0, 1, 196, 126), state = scale(-1, 1, 288, 222);
    const line = (y, value, places = back) => curve(places.map((n) => [x(n), y(value(at + n))]));
    for (const name of ["i", "f", "o", "c", "h"]) pen.write(name, steps[at][name][k], fixed(2));
    for (const name of ["i", "f", "o"])
      pen.set(name, { d: line(share, (t) => steps[t][name][k]) });
    pen.write("number", numbers[at], fixed(1));
    pen.write("forecast", forecasts[at], fixed(1));
    pen.write("truth", numbers[at + 1], fixed(1));
    pen.set("numbers", { d: line(spots, (t) => numbers[t]) });
    pen.set("forecasts", { d: line(spots, (t) => forecasts[t - 1], [...back, 1]) });
    pen.set("next", { cx: x(1).toFixed(1), cy: spots(numbers[at + 1]).toFixed(1) });
    pen.set("h", { d: stems(back.map((n) => [x(n), state(steps[at + n].h[k])]), state(0)) });
    pen.set("squashed", { d: line(state, (t) => steps[t].t[k]) });
  }

  // --- on the page ----------------------------------------------------------------------

  const FIGURES = { step, halflife, latch, reach, chunks, depth, climb, gates };

  for (const figure of document.querySelectorAll("figure[data-play]")) {
    const pen = penFor(figure), inputs = [...figure.querySelectorAll("input[type=range]")];
    const data = JSON.parse(figure.querySelector("script")?.textContent ?? "{}");
    const update = () => {
      for (const input of inputs) {
        const digits = (input.step.split(".")[1] ?? "").length;
        pen.write(input.name, input.valueAsNumber, fixed(digits));
      }
      const values = Object.fromEntries(inputs.map((i) => [i.name, i.valueAsNumber]));
      FIGURES[figure.dataset.play](values, pen, data);
    };
    figure.addEventListener("input", update);
    update(); // a browser may have kept the places of the inputs from the last visit
  }
})();
