"""Makes lstm/japanese_vowels.npz from the text files that aeon ships.

    python -m venv env && env/bin/pip install --no-deps aeon    # 1.6.0 was used
    python tests/data/make_vowels.py env/lib/python3.*/site-packages/aeon/datasets/data/JapaneseVowels

The files have six decimals, so that whole millionths hold them exactly, in fewer bytes.
"""

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]


def read(path):
    """Return the utterances, each (T, 12) in millionths, and the speakers, from 0."""
    lines = [line for line in path.read_text().splitlines() if line and line[0] not in "#@"]
    rows = [line.split(":") for line in lines]
    values = [np.array([row.split(",") for row in dims], float).T for *dims, _ in rows]
    whole = [np.rint(v * 1e6).astype(np.int32) for v in values]
    assert all(abs(w / 1e6 - v).max() < 1e-12 for w, v in zip(whole, values))
    return whole, np.array([int(label) - 1 for *_, label in rows])


if __name__ == "__main__":
    arrays = {}
    for part in ("train", "test"):
        sequences, labels = read(Path(sys.argv[1]) / f"JapaneseVowels_{part.upper()}.ts")
        arrays[part] = np.concatenate(sequences)
        arrays[f"{part}_lengths"] = np.array([len(s) for s in sequences], np.int64)
        arrays[f"{part}_labels"] = labels
    np.savez_compressed(ROOT / "lstm" / "japanese_vowels.npz", **arrays)
