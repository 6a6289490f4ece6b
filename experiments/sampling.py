"""Text drawn from a character model, and the one trained model that the book keeps."""

from __future__ import annotations

import numpy as np

from lstm import LSTM, Embedding, Linear, Sequential, to_device, to_numpy
from lstm.interop import assign

MODEL = "book/evidence/characters.npz"
KEPT = {"cell": "LSTM", "units": "128", "epochs": "12", "seed": "0"}  # its row of the table


def temper(logits, temperature):
    """Return the probabilities (K,) of logits (K,) that are divided by a temperature above 0."""
    if not temperature > 0:
        raise ValueError(f"temper expected temperature above 0, got {temperature}")
    p = np.exp((logits - logits.max()) / temperature)
    return p / p.sum()


def sample(model, symbols, start, count, temperature, rng):
    """Continue a text by a number of characters, each drawn from what the model expects.

    symbols : token k is the character symbols[k]
    start : at least one character, read first
    """
    if not start:
        raise ValueError("sample expected a start of at least one character, got none")
    tokens, state, said = [symbols.index(character) for character in start], None, ""
    for _ in range(count):
        logits, state = model(to_device(np.array(tokens)[:, None]), state)
        p = temper(to_numpy(logits[-1, 0]).astype(float), temperature)
        tokens = [rng.choice(len(p), p=p)]
        said += symbols[tokens[0]]
    return said


def load(path):
    """Return the model of a file that `keep` wrote, in float64, and the digest of its source."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name].astype(np.float64) for name in stored if name != "source"}
        source = str(stored["source"])
    symbols, vector = arrays["embedding.weight"].shape
    units = arrays["readout.weight"].shape[1]
    model = Sequential(embedding=Embedding(symbols, vector, dtype=np.float64),
                       recurrent=LSTM(vector, units, dtype=np.float64),
                       readout=Linear(units, symbols, dtype=np.float64))
    assign(model, arrays)
    return model, source


def keep(path, model, source):
    """Write a model's parameters with 16 bits a number, and the digest of what made them."""
    arrays = {name: to_numpy(p).astype(np.float16) for name, p in model.params.items()}
    np.savez_compressed(path, source=np.array(source), **arrays)


def main():
    """Train the kept model once more, see that it is that of the table, and write it."""
    from . import characters as grid
    from .sweep import ROOT, digest
    from .sweep import read as table

    row = next(row for row in table(ROOT / grid.FILE)[1] if KEPT.items() <= row.items())
    model = grid.character_model("LSTM", int(row["units"]), int(row["seed"]))
    grid.learn(model, float(row["rate"]), int(row["epochs"]))
    bits = grid.read(model, grid.text.test)[0]
    if abs(bits - float(row["test"])) > 0.02:
        raise RuntimeError(f"the table has {row['test']} bits a character, this run {bits:.4f}")
    keep(ROOT / MODEL, model, digest(grid))
    print(f"{MODEL}: {bits:.4f} bits a character")


if __name__ == "__main__":
    main()
