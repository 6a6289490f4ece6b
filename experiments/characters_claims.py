"""What is claimed about character models, judged by the table of `characters`.

In a module of its own: the digest of the table is that of what was measured, not of these words.
"""

from __future__ import annotations

import numpy as np

from .claims import Claim, Finding, below, spread, values

SIDES = {"epochs": 12, "cell": "LSTM"}


def bits(rows, **where):
    return values(rows, "test", **where)


def every(rows, units, rivals):
    """Say for each rival, a cell and its units, whether each run of an LSTM needs fewer bits."""
    ours = bits(rows, units=units, **SIDES)
    return tuple(bool(ours.max() < bits(rows, cell=cell, units=n)[0]) for cell, n in rivals)


def n_grams(rows):
    orders = [float(bits(rows, cell="n-gram", units=n)[0]) for n in range(1, 9)]
    ours = " and ".join(f"{spread(bits(rows, units=n, **SIDES), 3)} with {n} units"
                        for n in (64, 128))  # fmt: skip
    figures = f"{orders[4]:.2f} bits a character of order 5 and {min(orders):.2f} of the best"
    parts = [p for n in (64, 128) for p in every(rows, n, [("n-gram", 5)])]
    return Finding(f"{figures}; LSTM {ours}", tuple(parts))


def packers(rows):
    zipped, xz = (float(bits(rows, cell=name)[0]) for name in ("gzip", "xz"))
    ours = spread(bits(rows, units=128, **SIDES), 3)
    return Finding(
        f"{zipped:.2f} bits a character of gzip and {xz:.2f} of xz; LSTM with 128 units {ours}",
        every(rows, 128, [("gzip", ""), ("xz", "")]),
    )


def ranking(rows):
    lstm, rnn = (bits(rows, epochs=12, cell=cell, units=units)
                 for cell, units in (("LSTM", 64), ("RNN", 122)))  # fmt: skip
    figures = f"bits a character: LSTM {spread(lstm, 3)}, simple RNN {spread(rnn, 3)}"
    return Finding(figures, (below(lstm, rnn),))


def tracking(rows):
    """Say whether the best unit is ahead of directions at random and of untrained units."""
    said, parts = [], []
    for name in ("quotes", "brackets", "column"):
        unit = values(rows, f"{name}_unit", units=128, **SIDES)
        rivals = [values(rows, f"{name}_random", units=128, **SIDES),
                  values(rows, f"{name}_unit", units=128, cell="LSTM", epochs=0)]  # fmt: skip
        parts += [below(rival, unit) for rival in rivals]
        halves = ((1 + v) / 2 if name != "column" else v for v in (unit, *rivals))
        text = "{} (random {}, untrained {})".format(*(f"{np.median(v):.2f}" for v in halves))
        said.append(f"{name} {text}")
    return Finding("AUC, for the column rank correlation: " + "; ".join(said), tuple(parts))


PAGE = "evidence/characters"
CLAIMS = [
    Claim(
        "A character LSTM foresees text better than counted n-grams",
        "karpathy2016", f"{PAGE}#characters-bits", n_grams,
        "On a novel and on source code, both longer, LSTMs are ahead of n-grams of up to 20 "
        "characters. Their n-grams are smoothed in another way, and their networks are larger.",
    ),
    Claim(
        "Text costs an LSTM fewer bits than it costs programs that pack files",
        "graves2013", f"{PAGE}#characters-bits", packers,
        "1.67 bits on a part of Wikipedia without, and 1.33 with learning on the test, where "
        "programs like zip need more than 2 and the best packer 1.28. It learns from 96 million "
        "bytes of text, ours from 300,000 characters, and its network is larger.",
    ),
    Claim(
        "In accuracy an LSTM is ahead of a simple RNN",
        "seed", f"{PAGE}#characters-cells", ranking,
        "The seed gives no figures.",
    ),
    Claim(
        "Single cells of a character LSTM follow quotes, brackets and the length of a line",
        "karpathy2016", f"{PAGE}#characters-units", tracking,
        "Cells shown on text, found by looking. No score and no comparison with chance is given.",
    ),
]  # fmt: skip
